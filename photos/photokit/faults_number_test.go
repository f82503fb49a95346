//go:build !soak

package photokit_test

const faults = 100
