package train

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/devtest"
)

// onHost is o with weights and block inputs in host memory.
func onHost(o Options) Options {
	o.Offload, o.SpillInputs = OnHost, OnHost
	return o
}

// TestHostEqualsResident: with the weights and the block inputs in host memory a run writes the bytes it writes with them on
// the device, clipped exactly, accumulated, tied and with every optimizer that takes no copy of the weights; whether copies
// go at once, beside the computation or as late as they may.
func TestHostEqualsResident(t *testing.T) { eachFixture(t, 7, testHostEqualsResident) }

func testHostEqualsResident(t *testing.T, f *fixture) {
	wraps := map[string]func(device.Device) device.Device{
		"beside": func(d device.Device) device.Device { return d },
		"late":   func(d device.Device) device.Device { return &devtest.Late{Device: d} },
		"eager":  func(d device.Device) device.Device { return &devtest.Late{Device: d, Eager: true} },
	}
	for _, name := range []string{"lomo", "adalomo", "sgd"} {
		for _, lagged := range []bool{true, false} {
			memory := f.options(t.TempDir(), name)
			memory.ClipLagged = lagged
			if err := f.run(context.Background(), memory, ""); err != nil {
				t.Fatal(err)
			}
			for how, wrap := range wraps {
				host := onHost(memory)
				host.OutputDir = t.TempDir()
				var in, out int64
				host.OnDone = func(a, b int64) { in, out = a, b }
				if err := f.runOn(context.Background(), wrap, host, ""); err != nil {
					t.Fatal(err)
				}
				if in == 0 || out == 0 {
					t.Errorf("%s, %s: %d bytes in and %d out", name, how, in, out)
				}
				for _, file := range []string{"model.safetensors", "checkpoint-3/model.safetensors", "checkpoint-3/lomo_state.safetensors"} {
					sameFiles(t, filepath.Join(memory.OutputDir, file), filepath.Join(host.OutputDir, file))
				}
			}
		}
	}
}

// TestHostFaults: a computation that does not wait for its weights or block inputs is found out.
func TestHostFaults(t *testing.T) { eachFixture(t, 7, testHostFaults) }

func testHostFaults(t *testing.T, f *fixture) {
	good := f.options(t.TempDir(), "lomo")
	good.SaveSteps = 0
	if err := f.run(context.Background(), good, ""); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(good.OutputDir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []func(*Options){func(o *Options) { o.Offload = OnHost }, func(o *Options) { o.SpillInputs = OnHost }} {
		bad := good
		bad.OutputDir = t.TempDir()
		place(&bad)
		deaf := func(d device.Device) device.Device {
			return &devtest.Late{Device: d, Deaf: map[string]bool{"device": true}}
		}
		if err := f.runOn(context.Background(), deaf, bad, ""); err != nil {
			continue // what it read instead was not even finite
		}
		if got, err := os.ReadFile(filepath.Join(bad.OutputDir, "model.safetensors")); err != nil || bytes.Equal(got, want) {
			t.Errorf("offload %v, block inputs %v: nothing is waited for, and nobody notices (%v)", bad.Offload, bad.SpillInputs, err)
		}
	}
}

// TestSpillOnRanks: block inputs of each rank wait in host memory; the bytes are those of ranks that keep them.
func TestSpillOnRanks(t *testing.T) { eachFixture(t, 7, testSpillOnRanks) }

func testSpillOnRanks(t *testing.T, f *fixture) {
	keep := f.options(t.TempDir(), "adalomo")
	if err := f.runRanks(context.Background(), 3, keep, ""); err != nil {
		t.Fatal(err)
	}
	spill := keep
	spill.OutputDir, spill.SpillInputs = t.TempDir(), OnHost
	if err := f.runRanks(context.Background(), 3, spill, ""); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, filepath.Join(keep.OutputDir, "model.safetensors"), filepath.Join(spill.OutputDir, "model.safetensors"))
}

// TestRanksOnHost: ranks whose rows live in host memory make the bits of those whose rows live on the device, gathered in blocks or
// matrix by matrix, with a norm pass before the update; a checkpoint continues; and the device holds only buffers and vectors.
func TestRanksOnHost(t *testing.T) { eachFixture(t, 7, testRanksOnHost) }

func testRanksOnHost(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	for _, byMatrix := range []bool{false, true} {
		o := f.options(t.TempDir(), "adalomo")
		o.ClipLagged, o.GatherByMatrix, o.MicroBatch, o.Accumulation, o.NumEpochs, o.MaxSteps, o.SaveSteps = false, byMatrix, 1, 2, 0, 4, 2
		if err := f.runRanks(context.Background(), 3, o, ""); err != nil {
			t.Fatal(err)
		}
		host := o
		host.OutputDir, host.Offload = t.TempDir(), OnHost
		var last device.Device
		err := f.runRanksOn(context.Background(), 3, host, "", func(_ int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
			last = d
			return d, c
		})
		if err != nil {
			t.Fatal(err)
		}
		sameFiles(t, filepath.Join(o.OutputDir, "model.safetensors"), filepath.Join(host.OutputDir, "model.safetensors"))
		sameFiles(t, filepath.Join(o.OutputDir, "checkpoint-2", stateTensors), filepath.Join(host.OutputDir, "checkpoint-2", stateTensors))
		if onDevice, pinned := last.Memory().OwnerPeak("weights"), last.PinnedMemory().OwnerPeak("weights"); onDevice*8 > pinned {
			t.Errorf("%d bytes of weights on the device, %d in host memory", onDevice, pinned)
		}
		again := host
		again.OutputDir = t.TempDir()
		if err := f.runRanks(context.Background(), 3, again, filepath.Join(host.OutputDir, "checkpoint-2")); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, filepath.Join(o.OutputDir, "model.safetensors"), filepath.Join(again.OutputDir, "model.safetensors"))
	}
}
