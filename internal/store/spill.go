package store

import (
	"errors"
	"fmt"
	"os"

	"lomo/internal/tensor"
)

// Spill keeps pieces of device memory elsewhere while they are not needed: the inputs of the blocks between the forward and
// the backward sweep. Transfers go beside the computation, in the order they were asked for.
type Spill interface {
	// Put starts to move t away as piece i. What is computed after the returned function may overwrite t.
	Put(i int, t tensor.Tensor) (wait func() error)
	// Get starts to bring piece i back into t. What is computed after the returned function may read t.
	Get(i int, t tensor.Tensor) (wait func() error)
	// Traffic is the bytes brought back and moved away so far.
	Traffic() (in, out int64)
	Close() error
}

// FileSpill keeps equal pieces in a file.
type FileSpill struct {
	file *os.File
	io   *worker
}

// NewFileSpill makes the file. Its size grows with what is put into it.
func NewFileSpill(path string) (*FileSpill, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("file for block inputs: %w", err)
	}
	return &FileSpill{f, newWorker()}, nil
}

// Put writes t.
func (s *FileSpill) Put(i int, t tensor.Tensor) (wait func() error) {
	return s.start(func() error {
		_, err := s.file.WriteAt(t.Host, int64(i)*t.Bytes())
		s.io.out.add(len(t.Host))
		return err
	})
}

// Get reads t.
func (s *FileSpill) Get(i int, t tensor.Tensor) (wait func() error) {
	return s.start(func() error {
		_, err := s.file.ReadAt(t.Host, int64(i)*t.Bytes())
		s.io.in.add(len(t.Host))
		return err
	})
}

func (s *FileSpill) start(f func() error) (wait func() error) {
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
func (s *FileSpill) Traffic() (in, out int64) { return s.io.in.value(), s.io.out.value() }

// Close removes the file.
func (s *FileSpill) Close() error {
	err := s.io.drain()
	s.io.stop()
	return errors.Join(err, s.file.Close(), os.Remove(s.file.Name()))
}
