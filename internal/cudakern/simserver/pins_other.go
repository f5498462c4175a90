//go:build !linux

package simserver

import "errors"

// Pinned memory is shared through /proc.
var errLinux = errors.New("the simulated libcuda needs Linux")

type pin struct{}

func (p *process) pin(uintptr, int64, int) error         { return errLinux }
func (p *process) unpin(uintptr) error                   { return errLinux }
func (p *process) pinned(uintptr, int64) ([]byte, error) { return nil, errLinux }
func (p *process) close() error                          { return nil }
