package job

import (
	"errors"
	"io/fs"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/hub"
)

// UnfinishedError says that a folder is that of a run which has left no trained model in it yet.
type UnfinishedError struct {
	Dir        string
	Checkpoint string // the newest complete one, "" for none
	Finished   bool   // the run is over: it was not to save its model
}

func (e *UnfinishedError) Error() string {
	state := "a run that is not finished: no trained model yet"
	if e.Finished {
		state = "a finished run without a trained model (save_final: false)"
	}
	if e.Checkpoint == "" {
		return "model " + e.Dir + ": " + state + ", and no complete checkpoint"
	}
	return "model " + e.Dir + ": " + state + "; its newest complete checkpoint is " + e.Checkpoint
}

// Hint names the checkpoint to take.
func (e *UnfinishedError) Hint() string {
	switch {
	case e.Checkpoint != "":
		return "give " + e.Checkpoint + " as the model"
	case e.Finished:
		return "train again with save_final: true"
	}
	return "the same `lomo train` command goes on with the run"
}

// unfinished is an UnfinishedError if dir is the folder of a run without a trained model, else nil.
func unfinished(dir string) error {
	is := func(name string) bool { return isThere(filepath.Join(dir, name)) }
	if is("config.json") || is("params.json") || !is(configFile) && len(hub.Glob(dir, "checkpoint-*")) == 0 {
		return nil
	}
	e := &UnfinishedError{Dir: dir, Finished: is(finishedFile)}
	newest, _, err := checkpoint.Latest(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e.Checkpoint = newest
	return e
}
