//go:build cuda

package cudakern

// NCCL, found at run time: libnccl.so.2, or the file that LOMO_NCCL names; LOMO_NCCL=off leaves it out. The entry points are those of NVIDIA's NCCL
// documentation, of 2.7 and later; nothing of its headers is needed.

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
	void *lib;
	int (*init)(void **, int, const int *), (*destroy)(void *), (*abort)(void *), (*version)(int *), (*start)(void), (*end)(void);
	int (*gather)(const void *, void *, size_t, int, void *, void *);
	int (*send)(const void *, size_t, int, int, void *, void *), (*recv)(void *, size_t, int, int, void *, void *);
	const char *(*text)(int);
} nccl;

static int nccl_load(nccl *n, const char *path, char *message, int size) {
	n->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!n->lib) {
		snprintf(message, size, "%s", dlerror());
		return 0;
	}
	n->init = (int (*)(void **, int, const int *))dlsym(n->lib, "ncclCommInitAll");
	n->destroy = (int (*)(void *))dlsym(n->lib, "ncclCommDestroy");
	n->abort = (int (*)(void *))dlsym(n->lib, "ncclCommAbort");
	n->version = (int (*)(int *))dlsym(n->lib, "ncclGetVersion");
	n->start = (int (*)(void))dlsym(n->lib, "ncclGroupStart");
	n->end = (int (*)(void))dlsym(n->lib, "ncclGroupEnd");
	n->gather = (int (*)(const void *, void *, size_t, int, void *, void *))dlsym(n->lib, "ncclAllGather");
	n->send = (int (*)(const void *, size_t, int, int, void *, void *))dlsym(n->lib, "ncclSend");
	n->recv = (int (*)(void *, size_t, int, int, void *, void *))dlsym(n->lib, "ncclRecv");
	n->text = (const char *(*)(int))dlsym(n->lib, "ncclGetErrorString");
	if (n->init && n->destroy && n->abort && n->version && n->start && n->end && n->gather && n->send && n->recv && n->text)
		return 1;
	snprintf(message, size, "%s is no NCCL of 2.7 or later", path);
	return 0;
}

static int nccl_init(nccl *n, void **comms, int count, const int *cards) { return n->init(comms, count, cards); }
static int nccl_destroy(nccl *n, void *comm) { return n->destroy(comm); }
static int nccl_abort(nccl *n, void *comm) { return n->abort(comm); }
static int nccl_version(nccl *n, int *version) { return n->version(version); }
static const char *nccl_text(nccl *n, int code) { return n->text(code); }

enum { BYTES = 1 }; // ncclUint8

static int nccl_gather(nccl *n, void *comm, unsigned long long full, unsigned long long part, size_t bytes, void *stream) {
	return n->gather((void *)part, (void *)full, bytes, BYTES, comm, stream);
}

// One group: sends and receives wait for each other. Each rank begins with its neighbours, so that no card is asked by all at once.
static int nccl_exchange(nccl *n, void *comm, int rank, int size, unsigned long long in, unsigned long long out, size_t stride, size_t bytes, void *stream) {
	int code = n->start();
	if (code) return code;
	for (int i = 1; i < size && !code; i++) {
		int to = (rank + i) % size, from = (rank + size - i) % size;
		code = n->send((void *)(out + to * stride), bytes, BYTES, to, comm, stream);
		if (!code) code = n->recv((void *)(in + from * bytes), bytes, BYTES, from, comm, stream);
	}
	int end = n->end();
	return code ? code : end;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"lomo/internal/cudakern/driver"
)

// ncclLibrary is the library; it stays loaded, for its threads may outlive a group.
type ncclLibrary struct {
	n       *C.nccl
	version int
}

// loadNCCL opens it. absent says that there is none and nobody has asked for one.
func loadNCCL() (l *ncclLibrary, absent bool, err error) {
	name, asked := "libnccl.so.2", false
	if want := os.Getenv("LOMO_NCCL"); want != "" {
		name, asked = want, true
	}
	l = &ncclLibrary{n: (*C.nccl)(C.calloc(1, C.sizeof_nccl))}
	path, message := C.CString(name), (*C.char)(C.calloc(1, 512))
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(message))
	if C.nccl_load(l.n, path, message, 512) == 0 {
		absent, err = l.n.lib == nil && !asked, errors.New(C.GoString(message))
		C.free(unsafe.Pointer(l.n))
		return nil, absent, err
	}
	var version C.int
	err = l.result("ncclGetVersion", C.nccl_version(l.n, &version))
	l.version = int(version)
	return l, false, err
}

// result is the error of a call.
func (l *ncclLibrary) result(call string, code C.int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s (NCCL result %d)", call, C.GoString(C.nccl_text(l.n, code)), int(code))
}

// name has the version: 2.21.5 is 22105; before 2.9, 2.8.4 is 2804.
func (l *ncclLibrary) name() string {
	major, rest := l.version/10000, l.version%10000
	if l.version < 10000 {
		major, rest = l.version/1000, l.version%1000
	}
	return fmt.Sprintf("nccl %d.%d.%d", major, rest/100, rest%100)
}

// openMovers makes a communicator for each channel of a group of real cards. They are nil where there is no NCCL.
func openMovers(cards []*Device) ([]mover, error) {
	var ranks []*realCard
	for _, d := range cards {
		if c, ok := d.card.(*realCard); ok {
			ranks = append(ranks, c)
		}
	}
	if len(ranks) < 2 || len(ranks) < len(cards) || os.Getenv("LOMO_NCCL") == "off" {
		return nil, nil
	}
	l, absent, err := loadNCCL()
	if err != nil {
		if absent {
			err = nil
		}
		return nil, err
	}
	var movers []mover
	for range groupChannels {
		m, err := l.communicator(ranks)
		if err != nil {
			for _, m := range movers {
				err = errors.Join(err, m.Close())
			}
			return nil, fmt.Errorf("%s: %w", l.name(), err)
		}
		movers = append(movers, m)
	}
	return movers, nil
}

// ncclMover is one communicator on every card of a group.
type ncclMover struct {
	lib    *ncclLibrary
	ranks  []*ncclRank
	ending sync.WaitGroup
}

type ncclRank struct {
	card *realCard
	comm unsafe.Pointer
	mu   sync.Mutex // held in calls: an end frees what they use
	gone bool
}

func (l *ncclLibrary) communicator(cards []*realCard) (*ncclMover, error) {
	n := len(cards)
	comms := (*unsafe.Pointer)(C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(unsafe.Pointer(nil)))))
	defer C.free(unsafe.Pointer(comms))
	var index []C.int
	for _, c := range cards {
		index = append(index, C.int(c.index))
	}
	var code C.int
	err := cards[0].code("ncclCommInitAll", func() driver.Code { code = C.nccl_init(l.n, comms, C.int(n), &index[0]); return 0 })
	if err = errors.Join(err, l.result("ncclCommInitAll", code)); err != nil {
		return nil, err
	}
	m := &ncclMover{lib: l}
	for i, c := range unsafe.Slice(comms, n) {
		m.ranks = append(m.ranks, &ncclRank{card: cards[i], comm: c})
	}
	return m, nil
}

func (m *ncclMover) Name() string { return m.lib.name() }

func (m *ncclMover) Gather(rank int, full, part uint64, bytes int64, s driver.Stream) error {
	return m.call(rank, "ncclAllGather", s, func(comm, stream unsafe.Pointer) C.int {
		return C.nccl_gather(m.lib.n, comm, C.ulonglong(full), C.ulonglong(part), C.size_t(bytes), stream)
	})
}

func (m *ncclMover) Exchange(rank int, in, out uint64, stride, bytes int64, s driver.Stream) error {
	return m.call(rank, "ncclSend and ncclRecv", s, func(comm, stream unsafe.Pointer) C.int {
		return C.nccl_exchange(m.lib.n, comm, C.int(rank), C.int(len(m.ranks)), C.ulonglong(in), C.ulonglong(out), C.size_t(stride), C.size_t(bytes), stream)
	})
}

func (m *ncclMover) call(rank int, name string, s driver.Stream, f func(comm, stream unsafe.Pointer) C.int) error {
	r, stream := m.ranks[rank], s.(*realStream).s
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return fmt.Errorf("%s: the communicator has ended", name)
	}
	var code C.int
	err := r.card.code(name, func() driver.Code { code = f(r.comm, *(*unsafe.Pointer)(unsafe.Pointer(&stream))); return 0 })
	return errors.Join(err, m.lib.result(name, code))
}

// Abort has every rank's communicator end. A call that waits for the others is not waited for: ending the communicator is what ends it.
func (m *ncclMover) Abort() {
	for _, r := range m.ranks {
		m.ending.Go(func() {
			for range 100 {
				if r.mu.TryLock() {
					defer r.mu.Unlock()
					break
				}
				time.Sleep(time.Millisecond)
			}
			if !r.gone {
				r.gone = true
				_ = r.card.code("ncclCommAbort", func() driver.Code { C.nccl_abort(m.lib.n, r.comm); return 0 })
			}
		})
	}
}

// Close ends the ranks that Abort has not.
func (m *ncclMover) Close() error {
	m.ending.Wait()
	var err error
	for _, r := range m.ranks {
		err = errors.Join(err, m.destroy(r))
	}
	return err
}

func (m *ncclMover) destroy(r *ncclRank) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return nil
	}
	r.gone = true
	var code C.int
	err := r.card.code("ncclCommDestroy", func() driver.Code { code = C.nccl_destroy(m.lib.n, r.comm); return 0 })
	return errors.Join(err, m.lib.result("ncclCommDestroy", code))
}
