package cudakern

import (
	"errors"
	"testing"
)

func TestInstalledSaysWhatToDo(t *testing.T) {
	if Available {
		t.Log("built with CUDA")
		return
	}
	if d, err := Installed(); d != nil || !errors.Is(err, ErrNotBuilt) {
		t.Errorf("got %v, %v", d, err)
	}
}
