package train

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lomo/internal/comm"
)

// TestAbandoned: a rank whose device never answers does not keep the others' failure from being told.
func TestAbandoned(t *testing.T) {
	defer func(d time.Duration) { patience = d }(patience)
	patience = 50 * time.Millisecond
	cause, never := errors.New("the card is lost"), make(chan struct{})
	defer close(never)
	err := OnRanks(comm.NewLocal(3), func(rank int) error {
		switch rank {
		case 1:
			return cause
		case 2:
			<-never
		}
		return nil
	})
	if left := (*AbandonedError)(nil); !errors.As(err, &left) || !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "rank 1: ") {
		t.Errorf("got %v", err)
	}
	err = OnRanks(comm.NewLocal(2), func(rank int) error {
		if rank == 1 {
			return cause
		}
		return nil
	})
	if left := (*AbandonedError)(nil); errors.As(err, &left) || !errors.Is(err, cause) {
		t.Errorf("all ranks have ended, got %v", err)
	}
}
