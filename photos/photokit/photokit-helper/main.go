// Photokit-helper reads resources through Apple's Photos framework for the
// process that started it, in a process of its own because nothing bounds what
// the framework may take: this one can be thrown away. It speaks package
// protocol and ends with its input.
//
//	photokit-helper -selfcheck
//
// prints how the framework of this Mac differs from the one expected.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"lightfast/photos/photokit/framework"
	"lightfast/photos/photokit/protocol"
)

// main must stay on the first thread: see framework.Open and park. Nowhere but
// here can that be had.
func init() { runtime.LockOSThread() }

func main() {
	syscall.Umask(0o077)                        // what the framework writes is nobody else's
	signal.Ignore(os.Interrupt, syscall.SIGHUP) // of a terminal: what they mean is for the parent to say
	f, err := framework.Open(path())
	if err != nil {
		fmt.Fprintln(os.Stderr, "photokit-helper:", err)
		os.Exit(1)
	}
	problems := framework.SelfCheck()
	hello := protocol.Answer{Op: protocol.Hello, Version: protocol.Version, Problems: problems}
	if !slices.ContainsFunc(problems, func(p protocol.Problem) bool { return p.Missing }) {
		hello.Status = f.Status()
	}
	if len(os.Args) > 1 {
		report(hello)
		return
	}
	// Descriptor 3, because frameworks print to standard output as they like.
	syscall.CloseOnExec(3)
	s := &server{framework: f, out: protocol.NewWriter(os.NewFile(3, "answers"))}
	s.answer(hello)
	requests := make(chan protocol.Request)
	go s.read(os.Stdin, requests)
	go s.serve(requests)
	park()
}

func report(hello protocol.Answer) {
	fmt.Printf("protocol %d, authorization status %d, %d differences\n", hello.Version, hello.Status, len(hello.Problems))
	for _, p := range hello.Problems {
		fmt.Println(p.Text)
	}
}
