package store

import (
	"errors"
	"fmt"
	"os"

	"lomo/internal/tensor"
)

// Spill keeps equal pieces of device memory in a file while they are not needed: the inputs of the blocks between the
// forward and the backward sweep. Transfers go beside the computation, in the order they were asked for.
type Spill struct {
	file *os.File
	io   *worker
}

// NewSpill makes the file. Its size grows with what is put into it.
func NewSpill(path string) (*Spill, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("file for block inputs: %w", err)
	}
	return &Spill{f, newWorker()}, nil
}

// Put starts to write t as piece i. The returned function waits until t may be overwritten.
func (s *Spill) Put(i int, t tensor.Tensor) (wait func() error) {
	return s.start(func() error {
		_, err := s.file.WriteAt(t.Host, int64(i)*t.Bytes())
		s.io.out.add(len(t.Host))
		return err
	})
}

// Get starts to read piece i into t. The returned function waits until it is there.
func (s *Spill) Get(i int, t tensor.Tensor) (wait func() error) {
	return s.start(func() error {
		_, err := s.file.ReadAt(t.Host, int64(i)*t.Bytes())
		s.io.in.add(len(t.Host))
		return err
	})
}

func (s *Spill) start(f func() error) (wait func() error) {
	done := make(chan error, 1)
	s.io.do(func() { done <- f() })
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("block inputs on disk: %w", err)
		}
		return nil
	}
}

// Traffic is the bytes read and written so far.
func (s *Spill) Traffic() (in, out int64) { return s.io.in.value(), s.io.out.value() }

// Close removes the file.
func (s *Spill) Close() error {
	err := s.io.drain()
	s.io.stop()
	return errors.Join(err, s.file.Close(), os.Remove(s.file.Name()))
}
