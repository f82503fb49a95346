package main

import "os"

// path is that of a mock: GNUstep has no Photos.
func path() string { return os.Getenv("LIGHTFAST_PHOTOKIT_MOCK") }

func park() { select {} }
