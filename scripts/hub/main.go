// Command hub serves folders as models on a hub, for trying `lomo pull` without a network:
//
//	go run ./scripts/hub OWNER/NAME=DIR [OWNER/NAME=DIR ...]
//
// It prints the address for HF_ENDPOINT once it answers, and runs until it is killed.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"lomo/internal/hub/hubtest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hub:", err)
		os.Exit(1)
	}
}

func run(models []string) error {
	hub := &hubtest.Hub{}
	for _, m := range models {
		name, dir, ok := strings.Cut(m, "=")
		if !ok {
			return fmt.Errorf("%q is not OWNER/NAME=DIR", m)
		}
		if err := hub.Serve(name, dir); err != nil {
			return err
		}
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0") // the second host, of the large files
	if err != nil {
		return err
	}
	hub.CDN = "http://" + back.Addr().String()
	fmt.Printf("http://%s\n", front.Addr())
	failed := make(chan error)
	for _, l := range []net.Listener{front, back} {
		go func() { failed <- http.Serve(l, hub) }()
	}
	return <-failed
}
