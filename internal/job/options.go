package job

import (
	"fmt"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/optim"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// trainOptions is what a configuration asks of the trainer.
func trainOptions(c *config.Config, m *model.Config) (train.Options, error) {
	dt, err := tensor.ParseDType(c.DType)
	if err != nil {
		return train.Options{}, &UsageError{err}
	}
	reduce, err := tensor.ParseDType(c.ReduceDType)
	if err != nil {
		return train.Options{}, &UsageError{err}
	}
	shard, err := size("max_shard_size", c.MaxShardSize)
	if err != nil {
		return train.Options{}, err
	}
	o := train.Options{
		Model: m, DType: dt,
		Optimizer:    optimizerConfig(c),
		LearningRate: c.LearningRate, Scheduler: c.LRScheduler, WarmupRatio: c.WarmupRatio, WarmupSteps: c.WarmupSteps,
		MaxGradNorm: c.MaxGradNorm, ClipLagged: c.ClipPolicy == "lagged", SkipBad: c.OnNonfinite == "skip",
		Recompute: c.GradientCheckpointing,
		Offload:   places[c.Offload], SpillInputs: places[c.ActivationOffload],
		ReduceDType: reduce, GatherByMatrix: c.Gather == "matrix",
		MicroBatch: c.MicroBatchSize, Accumulation: c.GradientAccumulationSteps, SequenceLen: c.SequenceLen,
		MaxSteps: c.MaxSteps, NumEpochs: c.NumEpochs, Seed: c.Seed,
		EvalSteps: c.EvalSteps, EvalOnStart: c.EvalOnStart,
		SaveSteps: c.SaveSteps, SaveLimit: c.SaveTotalLimit, SaveFinal: c.SaveFinal, LoggingSteps: c.LoggingSteps,
		OutputDir: c.OutputDir, MaxShardSize: shard,
	}
	return o, nil
}

// places are the values of offload and activation_offload.
var places = map[string]train.Place{"none": train.OnDevice, "host": train.OnHost, "disk": train.OnDisk}

func optimizerConfig(c *config.Config) optim.Config {
	round := device.Stochastic
	if c.Rounding == "nearest" {
		round = device.Nearest
	}
	return optim.Config{
		Name:   c.Optimizer,
		Common: optim.Common{WeightDecay: c.WeightDecay, ClipValue: c.ClipValue, Rounding: round, Seed: c.Seed},
		AdaLomo: optim.AdaLomoConfig{ClipThreshold: c.AdaLomo.ClipThreshold, DecayRate: c.AdaLomo.DecayRate,
			Eps1: c.AdaLomo.Eps[0], Eps2: c.AdaLomo.Eps[1]},
		AdamW: optim.AdamWConfig{Beta1: c.AdamW.Betas[0], Beta2: c.AdamW.Betas[1], Eps: c.AdamW.Eps,
			Master: c.AdamW.Master == "f32", DecayVectors: c.AdamW.DecayVectors},
		SGD: optim.SGDConfig{Momentum: c.SGD.Momentum, Dampening: c.SGD.Dampening, Nesterov: c.SGD.Nesterov},
	}
}

// size reads a byte count of the configuration; "" is 0.
func size(key, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := checkpoint.ParseSize(s)
	if err != nil {
		return 0, &UsageError{fmt.Errorf("%s: %w", key, err)}
	}
	return n, nil
}

func dataOptions(c *config.Config, m *model.Config) data.Options {
	return data.Options{
		SequenceLen: c.SequenceLen, Packing: c.Packing, Shuffle: c.Shuffle, MicroBatch: c.MicroBatchSize, Seed: c.Seed,
		TrainOnInputs: c.TrainOnInputs, RolesToTrain: c.RolesToTrain, TrainOnEOS: c.TrainOnEOS, ChatTemplate: c.ChatTemplate,
		VocabSize: m.VocabSize,
	}
}

func sources(list []config.Dataset) []data.Source {
	out := make([]data.Source, len(list))
	for i, d := range list {
		out[i] = data.Source{Path: d.Path, Type: d.Type, Split: d.Split, Weight: d.Weight}
	}
	return out
}
