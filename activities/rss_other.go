//go:build !darwin

package activities

// rssUnit: Linux reports ru_maxrss in KiB (getrusage(2)).
const rssUnit = 1024
