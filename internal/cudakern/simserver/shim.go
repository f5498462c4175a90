package simserver

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
)

//go:embed shim/shim.c
var shimSource []byte

// BuildShim compiles the library that stands in for libcuda into dir, with $CC or cc.
func BuildShim(dir string) (library string, err error) {
	source := filepath.Join(dir, "shim.c")
	if err := os.WriteFile(source, shimSource, 0o644); err != nil {
		return "", err
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	library = filepath.Join(dir, libraryName)
	out, err := exec.Command(cc, "-O2", "-Wall", "-fPIC", "-shared", "-o", library, source, "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s shim.c: %w\n%s", cc, err, out)
	}
	return library, nil
}

// Start serves a new socket in dir, a short path, until stop; the library is built there if it is missing. env is what a program needs to find
// both.
func (s *Server) Start(dir string) (env []string, stop func() error, err error) {
	library := filepath.Join(dir, libraryName)
	if _, err := os.Stat(library); err != nil {
		if library, err = BuildShim(dir); err != nil {
			return nil, nil, err
		}
	}
	socket := filepath.Join(dir, fmt.Sprintf("socket-%d", sockets.Add(1)))
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	stop = func() error {
		if err := l.Close(); err != nil {
			return err
		}
		return <-done
	}
	return []string{"LOMO_CUDA_DRIVER=" + library, "SIMCUDA_SOCKET=" + socket}, stop, nil
}

const libraryName = "libsimcuda.so"

var sockets atomic.Int64 // opened by this process
