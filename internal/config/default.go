package config

import "lomo/internal/optim"

// Default is the settings of a run that names none.
func Default() Config {
	ada, adam := optim.DefaultAdaLomo(), optim.DefaultAdamW()
	return Config{
		Device: "auto", Devices: 1, Sharding: "none", Offload: "none", ActivationOffload: "none", ReduceDType: "bf16", Gather: "block",
		DType: "bf16", Rounding: "stochastic",
		Datasets: []Dataset{}, EvalDatasets: []Dataset{},
		SequenceLen: 1024, Packing: true, Shuffle: true, ChatTemplate: "tokenizer",
		RolesToTrain: []string{"assistant"}, TrainOnEOS: "turn",
		MicroBatchSize: 4, GradientAccumulationSteps: 1, NumEpochs: 1,
		Method: "full", Optimizer: "adalomo", LearningRate: rates["adalomo"].usual, LRScheduler: "linear",
		ClipPolicy: "exact", OnNonfinite: "stop", LossSpike: "off",
		GradientCheckpointing: true, Seed: 42, EvalOnStart: true,
		SamplePrompts: 2, SaveSteps: 500, SaveTotalLimit: 2, SaveFinal: true, Export: "none", ExportDType: "bf16", MaxShardSize: "50GB", LoggingSteps: 1,
		ReportTo: []string{"json"}, Resume: "auto",
		AdaLomo: AdaLomo{ClipThreshold: ada.ClipThreshold, DecayRate: ada.DecayRate, Eps: []float64{ada.Eps1, ada.Eps2}, Importance: "none"},
		AdamW:   AdamW{Betas: []float64{adam.Beta1, adam.Beta2}, Eps: adam.Eps, Master: "f32", DecayVectors: adam.DecayVectors},
	}
}

// rate is what is known of an optimizer's learning rates: the one taken when none is given, and the range outside
// which training usually stands still or diverges.
type rate struct{ usual, low, high float64 }

// rates come from the papers' and trainers' own settings (algorithms.md 1, 2, 10, 11).
var rates = map[string]rate{
	"adalomo": {5e-4, 1e-5, 2e-2},
	"lomo":    {1e-2, 1e-4, 1e-1},
	"sgd":     {1e-2, 1e-4, 1e-1},
	"adamw":   {2e-5, 1e-7, 1e-3},
}
