// Package train is the training loop over the layer-major sweep: schedule, clipping, metrics, evaluation, checkpoints
// and resuming. It reaches the screen only through callbacks.
package train

import (
	"iter"

	"lomo/internal/checkpoint"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/optim"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// Options is a run, with every default already filled in.
type Options struct {
	Model *model.Config
	DType tensor.DType // of weights and activations: F32 or BF16

	Optimizer    optim.Config // its Clip is made by the trainer
	LearningRate float64
	Scheduler    string
	WarmupRatio  float64
	WarmupSteps  int

	MaxGradNorm float64 // 0: off
	ClipLagged  bool    // κ from the last step's norm instead of a norm pass
	SkipBad     bool    // on_nonfinite: skip, for what is found before any write
	Recompute   bool    // gradient_checkpointing

	Offload     Place  // offload: where the weights wait for their use
	WorkingCopy string // on disk: its path; "" on the counting device
	SpillInputs Place  // activation_offload: where block inputs wait between the sweeps
	SpillFile   string // on disk: its path; "" on the counting device

	GatherByMatrix bool         // gather: matrix, ranks gather a block's matrices one at a time
	ReduceDType    tensor.DType // of gradients on their way between ranks: F32 or BF16; Invalid is F32

	MicroBatch   int // sequences
	Accumulation int // micro-batches a step
	SequenceLen  int // longest sequence
	MaxSteps     int // 0: as many as NumEpochs needs
	NumEpochs    float64
	Seed         uint64

	EvalSteps    int // 0: at the end only, when there is a validation set
	EvalOnStart  bool
	SaveSteps    int // 0: no checkpoints but the one of an interruption
	SaveLimit    int // 0: keep all
	SaveFinal    bool
	LoggingSteps int
	OutputDir    string
	MaxShardSize int64

	Config    string                 // the resolved configuration, written beside each checkpoint
	Tokenizer func(dir string) error // writes the tokenizer's files into a folder; nil: none
	PeakFLOPS float64                // of the machine, for mfu; 0: unknown

	OnStep func(StepMetrics) error
	OnEval func(EvalMetrics) error
	OnSave func(dir string, step int)
	// OnEnds is called on rank 0 of a run of one device before the first step and after the last one, with the weights as they are.
	OnEnds func(step int, d device.Device, net *model.Network, st store.Store) error
	OnDone func(bytesIn, bytesOut int64) // at the end: what was moved to and from disk
	Note   func(format string, args ...any)

	// OnDoing hears what the run is busy with, often, and from several goroutines while weights are read. It must not take long.
	OnDoing func(Activity)

	// OnRank, of a run on several devices, sees each rank's options before it starts and may add to its callbacks; what it
	// returns is called with how the rank ended.
	OnRank func(rank int, device string, o *Options) (ended func(error) error, err error)
}

// Place is where tensors wait for their use.
type Place uint8

const (
	OnDevice Place = iota // where they are used
	OnHost                // in pinned host memory beside the device
	OnDisk                // in a file
)

// Inputs is what a run reads.
type Inputs struct {
	Weights checkpoint.Source
	Train   *data.Loader
	Eval    iter.Seq[data.Batch] // the validation set in micro-batches; nil: none

	EvalBatches int // in Eval, for progress; 0: not counted
}

// StepMetrics is one logged step, under the names of metrics.jsonl.
type StepMetrics struct {
	Step       int      `json:"step"`
	Epoch      float64  `json:"epoch"`
	Loss       float64  `json:"loss"` // mean over the step's trained tokens, before the update
	LR         float64  `json:"lr"`
	GradNorm   *float64 `json:"grad_norm,omitempty"`
	Tokens     int      `json:"tokens"`      // trained on in this step: none when it was skipped
	SeenTokens int64    `json:"seen_tokens"` // trained on so far
	TokS       float64  `json:"tok_s"`       // all tokens of the step a second
	StepMS     float64  `json:"step_ms"`
	MFU        *float64 `json:"mfu,omitempty"`
	Skipped    bool     `json:"skipped,omitempty"` // the update was left out: not finite
	Total      int      `json:"-"`                 // steps of the run
}

// EvalMetrics is one evaluation.
type EvalMetrics struct {
	Step       int     `json:"step"`
	Loss       float64 `json:"eval_loss"`
	Perplexity float64 `json:"perplexity"`
	Tokens     int     `json:"eval_tokens"`
}
