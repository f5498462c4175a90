// Package config gathers every setting of a run into one flat struct and says where each came from.
//
// Sources, weakest first: defaults, the YAML file, LOMO_* environment variables, flags and --set (design.md 4).
// Keys and values are checked against the struct below while their yaml.Node, and so their line, is still known;
// viper then merges the sources. Nothing below this package knows YAML.
package config

// Config is the resolved settings of a run. The tags are the single list of keys:
// yaml is the name, alias other names for it, oneof the values a string may take, help the line that
// `lomo help config` prints, and resume:"free" marks keys that may change when a run is resumed.
type Config struct {
	Model     string `yaml:"model" alias:"base_model,model_name_or_path" help:"Hugging Face folder, folder of Meta's consolidated.*.pth, or .gguf file to start from"`
	OutputDir string `yaml:"output_dir" resume:"free" help:"folder of the run: checkpoints, metrics, the trained model"`

	Device            string `yaml:"device" oneof:"auto,cpu,cuda" resume:"free" help:"where to compute; auto takes a usable GPU, else the CPU"`
	Devices           int    `yaml:"devices" resume:"free" help:"number of ranks (GPUs)"`
	Sharding          string `yaml:"sharding" oneof:"none,zero3" resume:"free" help:"zero3 spreads the weights over the devices"`
	Offload           string `yaml:"offload" oneof:"none,host,disk" resume:"free" help:"where weights wait when they do not fit: disk, or for a card host, pinned memory of the machine"`
	ActivationOffload string `yaml:"activation_offload" oneof:"none,host,disk" resume:"free" help:"where block inputs wait for the backward sweep"`
	ReduceDType       string `yaml:"reduce_dtype" oneof:"bf16,f32" resume:"free" help:"type in which gradients travel between devices; sums are float32. With dtype f32 and not given: f32"`
	Gather            string `yaml:"gather" oneof:"block,matrix" resume:"free" help:"what zero3 brings together ahead of its use: matrix takes smaller buffers, and sends the weights once for each micro-batch"`
	Threads           int    `yaml:"threads" resume:"free" help:"CPU threads; 0 takes all. The results do not depend on it"`
	MemoryLimit       string `yaml:"memory_limit" resume:"free" help:"e.g. 4GiB: refuse a run whose planned peak is above it; on cards, of one card; empty is no limit"`

	DType    string `yaml:"dtype" oneof:"bf16,f32,fp16" help:"type of weights and activations; f32 doubles the memory of bf16"`
	Rounding string `yaml:"rounding" oneof:"stochastic,nearest" help:"how updated bf16 weights are rounded; nearest loses small updates"`

	Datasets      []Dataset `yaml:"datasets" help:"training data, a list of {path, type, split, weight}"`
	EvalDatasets  []Dataset `yaml:"eval_datasets" help:"held-out data, listed likewise"`
	ValSetSize    float64   `yaml:"val_set_size" help:"part of datasets held out: below 1 a share, from 1 a number of samples"`
	SequenceLen   int       `yaml:"sequence_len" help:"tokens of a sequence; longer samples are cut"`
	Packing       bool      `yaml:"packing" help:"fill sequences with several samples, which do not see each other"`
	Shuffle       bool      `yaml:"shuffle" help:"another order every epoch, fixed by seed"`
	ChatTemplate  string    `yaml:"chat_template" help:"tokenizer takes the model's own; else a name (alpaca, chatml, deepseek, gemma, llama-2, llama-3, mistral, phi, qwen, zephyr, or one that came with the model), a Jinja template or a file with one. Saved with the model"`
	TrainOnInputs bool      `yaml:"train_on_inputs" help:"learn prompts too, not only responses"`
	RolesToTrain  []string  `yaml:"roles_to_train" help:"roles whose chat turns are learned"`
	TrainOnEOS    string    `yaml:"train_on_eos" oneof:"turn,all,last,none" help:"which end-of-turn tokens are learned"`

	MicroBatchSize            int     `yaml:"micro_batch_size" resume:"free" help:"sequences that go through a block at once; sets the memory of activations"`
	GradientAccumulationSteps int     `yaml:"gradient_accumulation_steps" resume:"free" help:"micro-batches of a step; above 1 one block's gradient is held"`
	NumEpochs                 float64 `yaml:"num_epochs" resume:"free" help:"passes over the data, unless max_steps is given"`
	MaxSteps                  int     `yaml:"max_steps" resume:"free" help:"optimizer steps, instead of num_epochs"`

	Method    string `yaml:"method" oneof:"full,hift,lisa,badam,lora,lora_lomo,mezo,sparse_zo" help:"which weights are trained when"`
	Optimizer string `yaml:"optimizer" oneof:"adalomo,lomo,adamw,adamw8bit,sgd,adagrad,adafactor,galore,apollo" help:"adalomo and lomo hold no gradient; adamw adds 12 bytes a weight"`

	LearningRate float64 `yaml:"learning_rate" help:"the peak rate; not given, the optimizer's usual one"`
	LRScheduler  string  `yaml:"lr_scheduler" oneof:"linear,cosine,constant,wsd,polynomial,inverse_sqrt,lomo_linear" help:"course of the rate after warm-up"`
	WarmupRatio  float64 `yaml:"warmup_ratio" help:"share of the steps with a rising rate"`
	WarmupSteps  int     `yaml:"warmup_steps" help:"steps with a rising rate, instead of warmup_ratio"`
	WeightDecay  float64 `yaml:"weight_decay" help:"weights shrink by this times the rate every step"`

	MaxGradNorm float64 `yaml:"max_grad_norm" alias:"clip_grad_norm" help:"largest norm of a step's gradient; 0 is off"`
	ClipPolicy  string  `yaml:"clip_policy" oneof:"exact,lagged" help:"exact adds a backward sweep for the norm; lagged uses the last step's, free"`
	ClipValue   float64 `yaml:"clip_value" help:"largest absolute value of a gradient's element; 0 is off"`
	OnNonfinite string  `yaml:"on_nonfinite" oneof:"stop,skip" help:"what to do with a step whose loss or gradient is not finite"`
	LossSpike   string  `yaml:"loss_spike" oneof:"off,skip,stop" help:"what to do with a step whose loss jumps"`

	GradientCheckpointing bool    `yaml:"gradient_checkpointing" resume:"free" help:"keep block inputs only and compute blocks again: less memory, a third more time"`
	NEFTuneAlpha          float64 `yaml:"neftune_alpha" help:"noise on embeddings; 0 is off"`
	Seed                  uint64  `yaml:"seed" help:"of shuffling, rounding and every other draw"`

	EvalSteps      int      `yaml:"eval_steps" resume:"free" help:"evaluate every so many steps; 0 only at the end"`
	EvalOnStart    bool     `yaml:"eval_on_start" resume:"free" help:"evaluate once before the first step, where there is held-out data: what the model knew before"`
	SaveSteps      int      `yaml:"save_steps" resume:"free" help:"checkpoint every so many steps; 0 only on interrupt"`
	SaveTotalLimit int      `yaml:"save_total_limit" resume:"free" help:"checkpoints kept; 0 keeps all"`
	SaveFinal      bool     `yaml:"save_final" resume:"free" help:"write the trained model into output_dir at the end"`
	MaxShardSize   string   `yaml:"max_shard_size" resume:"free" help:"largest safetensors file of a saved model, e.g. 5GB"`
	LoggingSteps   int      `yaml:"logging_steps" resume:"free" help:"write metrics every so many steps"`
	ReportTo       []string `yaml:"report_to" oneof:"json,tensorboard" resume:"free" help:"json is metrics.jsonl, always written"`
	Resume         string   `yaml:"resume" resume:"free" help:"auto continues the newest complete checkpoint, none starts afresh, or a checkpoint's folder"`

	AdaLomo AdaLomo `yaml:"adalomo" help:"options of optimizer: adalomo"`
	AdamW   AdamW   `yaml:"adamw" help:"options of optimizer: adamw"`
	SGD     SGD     `yaml:"sgd" help:"options of optimizer: sgd"`
	HiFT    HiFT    `yaml:"hift" help:"options of method: hift"`
	LISA    LISA    `yaml:"lisa" help:"options of method: lisa"`
}

// Dataset is one entry of datasets and eval_datasets.
type Dataset struct {
	Path   string  `yaml:"path" help:"json, jsonl, csv or txt file, a folder of them, or a pattern"`
	Type   string  `yaml:"type" help:"what a record holds"`
	Split  string  `yaml:"split" help:"part of a data set with several"`
	Weight float64 `yaml:"weight" help:"share of the samples used; 1 is all, 2 each twice"`
}

// AdaLomo is optim.AdaLomoConfig as a user writes it.
type AdaLomo struct {
	ClipThreshold float64   `yaml:"clip_threshold" help:"largest RMS of a tensor's update before scaling"`
	DecayRate     float64   `yaml:"decay_rate" help:"exponent of the moments' memory: 1 - t^decay_rate"`
	Eps           []float64 `yaml:"eps" len:"2" help:"added to squared gradients; least RMS of a weight"`
	Importance    string    `yaml:"importance" oneof:"none,element,row,tensor" help:"weigh updates by |gradient x weight|"`
}

// AdamW is optim.AdamWConfig as a user writes it.
type AdamW struct {
	Betas        []float64 `yaml:"betas" len:"2" help:"memory of the first and second moment"`
	Eps          float64   `yaml:"eps" help:"added to the root of the second moment"`
	Master       string    `yaml:"master" oneof:"f32,none" help:"f32 keeps float32 weights beside bf16 ones, 4 bytes a weight"`
	DecayVectors bool      `yaml:"decay_vectors" help:"weight decay on norm gains too"`
}

// SGD is optim.SGDConfig as a user writes it.
type SGD struct {
	Momentum  float64 `yaml:"momentum" help:"above 0 adds 4 bytes a weight"`
	Dampening float64 `yaml:"dampening" help:"of the momentum"`
	Nesterov  bool    `yaml:"nesterov" help:"Nesterov's momentum"`
}

// HiFT are the options of the hierarchical method.
type HiFT struct {
	GroupSize int    `yaml:"group_size" help:"units trained at a time"`
	Order     string `yaml:"order" oneof:"down2up,up2down,random" help:"in which order groups are trained"`
}

// LISA are the options of layerwise sampling.
type LISA struct {
	Layers   int    `yaml:"layers" help:"blocks trained at a time"`
	Interval int    `yaml:"interval" help:"steps between draws"`
	State    string `yaml:"state" oneof:"drop,offload,keep" help:"what becomes of the state of blocks no longer trained"`
}
