//go:build linux && amd64

// Command amx runs a program and carries out the AMX instructions in it that this processor does not have, so that the level of AMX is
// tested everywhere:
//
//	go test -c -tags amxemu -o /tmp/cpukern.test ./internal/cpukern
//	go run ./scripts/amx /tmp/cpukern.test -test.run Tiles
//
// The program runs under ptrace. At an instruction that the processor refuses it stops with SIGILL; is it one that decode.go knows, it
// is done here, on tiles kept for each thread (tiles.go), and the program goes on behind it. Everything else is left to the processor.
// That is slow, some microseconds an instruction, and right to the bit as far as Intel's manual says.
//
// The exit code is the program's, or 1 when it used no tiles at all or a thread kept tiles when it should have released them.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: amx PROGRAM [ARGUMENT]...")
		os.Exit(2)
	}
	runtime.LockOSThread() // ptrace belongs to a thread
	t, err := start(os.Args[1:])
	if err == nil {
		err = t.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "amx: error:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "amx: %d instructions carried out, %d of them products, on %d threads\n", t.instructions, t.products, t.users)
	os.Exit(t.verdict())
}

// tracer follows a program and its threads.
type tracer struct {
	main    int
	code    int // the program's exit code
	threads map[int]*tiles

	instructions, products, users int
	kept                          int // times a thread did not release its tiles
}

// start runs a program up to its first instruction.
func start(args []string) (*tracer, error) {
	p, err := os.StartProcess(args[0], args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return nil, err
	}
	t := &tracer{main: p.Pid, threads: map[int]*tiles{p.Pid: {}}}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, unix.WALL, nil); err != nil {
		return nil, fmt.Errorf("wait for %s: %w", args[0], err)
	}
	const follow = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(p.Pid, follow); err != nil {
		return nil, fmt.Errorf("ptrace %s: %w", args[0], err)
	}
	return t, unix.PtraceCont(p.Pid, 0)
}

// run waits for stops until no thread is left.
func (t *tracer) run() error {
	for {
		var status unix.WaitStatus
		id, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		}
		if status.Exited() || status.Signaled() {
			t.ended(id, status)
			continue
		}
		if !status.Stopped() {
			continue
		}
		signal, err := t.stopped(id, status)
		if err != nil {
			return err
		}
		if err := unix.PtraceCont(id, signal); err != nil && !errors.Is(err, unix.ESRCH) { // it may have been killed meanwhile
			return fmt.Errorf("thread %d: continue: %w", id, err)
		}
	}
}

func (t *tracer) ended(id int, status unix.WaitStatus) {
	if th := t.threads[id]; th != nil && th.configured {
		t.kept++
	}
	delete(t.threads, id)
	if id != t.main {
		return
	}
	t.code = status.ExitStatus()
	if status.Signaled() {
		t.code = 128 + int(status.Signal())
	}
}

// stopped deals with a stop and returns the signal that the thread is to get.
func (t *tracer) stopped(id int, status unix.WaitStatus) (int, error) {
	signal := status.StopSignal()
	th := t.threads[id]
	if th == nil {
		th = &tiles{}
		t.threads[id] = th
		if signal == unix.SIGSTOP { // a new thread's first stop
			return 0, nil
		}
	}
	switch {
	case signal == unix.SIGTRAP && status.TrapCause() > 0: // a thread or process was made
		return 0, nil
	case signal == unix.SIGILL:
		done, err := t.emulate(id, th)
		if err != nil {
			return 0, err
		}
		if done {
			return 0, nil
		}
	}
	return int(signal), nil
}

// emulate carries out the instruction at which a thread has stopped, and those that follow as long as they are AMX's.
func (t *tracer) emulate(id int, th *tiles) (bool, error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(id, &regs); err != nil {
		return false, fmt.Errorf("thread %d: registers: %w", id, err)
	}
	mem, code := memory(id), make([]byte, 128)
	if err := mem.read(regs.Rip, code); err != nil {
		code = code[:16]
		if err := mem.read(regs.Rip, code); err != nil {
			return false, fmt.Errorf("thread %d: code at %#x: %w", id, regs.Rip, err)
		}
	}
	done := 0
	for {
		in, ok := decode(code)
		if !ok {
			break
		}
		if in.op == configure && th.configured {
			t.kept++
		}
		if err := th.execute(in, general(&regs), mem); err != nil {
			return false, fmt.Errorf("thread %d: %v at %#x: %w", id, in, regs.Rip, err)
		}
		if in.op == product {
			t.products++
		}
		done++
		regs.Rip += uint64(in.length)
		code = code[in.length:]
	}
	if done == 0 {
		return false, nil
	}
	if !th.used {
		th.used = true
		t.users++
	}
	t.instructions += done
	return true, unix.PtraceSetRegs(id, &regs)
}

// general are the general registers in the order of their numbers.
func general(r *unix.PtraceRegs) [16]uint64 {
	return [16]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}
}

// memory is that of a thread's process.
type memory int

func (m memory) read(at uint64, b []byte) error {
	n, err := unix.ProcessVMReadv(int(m), []unix.Iovec{iovec(b)}, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	return whole(n, len(b), err)
}

func (m memory) write(at uint64, b []byte) error {
	n, err := unix.ProcessVMWritev(int(m), []unix.Iovec{iovec(b)}, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	return whole(n, len(b), err)
}

func iovec(b []byte) unix.Iovec { return unix.Iovec{Base: &b[0], Len: uint64(len(b))} }

func whole(n, want int, err error) error {
	if err == nil && n != want {
		return fmt.Errorf("%d of %d bytes: %w", n, want, unix.EFAULT)
	}
	return err
}

// verdict is the exit code.
func (t *tracer) verdict() int {
	switch {
	case t.code != 0:
		return t.code
	case t.products == 0:
		fmt.Fprintln(os.Stderr, "amx: error: the program multiplied no tiles: was it built with -tags amxemu?")
		return 1
	case t.kept > 0:
		fmt.Fprintf(os.Stderr, "amx: error: %d times a thread still held tiles when it configured them again or ended\n", t.kept)
		return 1
	}
	return 0
}
