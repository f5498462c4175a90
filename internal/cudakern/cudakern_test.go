package cudakern

import (
	"errors"
	"testing"
)

func TestOpenSaysWhatToDo(t *testing.T) {
	d, err := Open()
	if d != nil || !errors.Is(err, ErrNotBuilt) || Available {
		t.Errorf("got %v, %v", d, err)
	}
}
