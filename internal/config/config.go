// Package config gathers every setting of a run into one flat struct and says where each came from.
//
// Sources, weakest first: defaults, the YAML file, LOMO_* environment variables, flags and --set (design.md 4).
// Keys and values are checked against the struct below while their yaml.Node, and so their line, is still known;
// viper then merges the sources. Nothing below this package knows YAML.
package config

// Config is the resolved settings of a run. The tags are the single list of keys:
// yaml is the name, alias other names for it, oneof the values a string may take, planned those that a later version will take,
// help the sentence that `lomo help config` prints, example a value worth showing, group the heading that a key and those behind
// it stand under, resume:"free" marks keys that may change when a run is resumed, and hidden:"true" those of which only the
// default works yet: a file may say them, and no list shows them.
type Config struct {
	Model     string `yaml:"model" group:"The model and the run's folder" alias:"base_model,model_name_or_path" example:"models/SmolLM2-135M-Instruct" help:"The model to start from: a Hugging Face folder, a folder of Meta's consolidated.*.pth, or a .gguf file."`
	OutputDir string `yaml:"output_dir" resume:"free" example:"out/my-run" help:"The folder of the run: its checkpoints, metrics and report, and the trained model at the end."`

	Device            string `yaml:"device" group:"Where it computes" oneof:"auto,cpu,cuda" resume:"free" help:"Where to compute: auto takes a usable GPU, and else the CPU."`
	Devices           int    `yaml:"devices" resume:"free" example:"8" help:"The number of ranks, which with device: cuda is the number of GPUs."`
	Sharding          string `yaml:"sharding" oneof:"none,zero3" resume:"free" example:"zero3" help:"How several devices share the weights: zero3 gives each of them a part."`
	Offload           string `yaml:"offload" oneof:"none,host,disk" resume:"free" example:"disk" help:"Where weights wait that do not fit: on the disk, or for a GPU in host memory that is pinned."`
	ActivationOffload string `yaml:"activation_offload" oneof:"none,host,disk" resume:"free" example:"disk" help:"Where the inputs of blocks wait for the backward sweep."`
	ReduceDType       string `yaml:"reduce_dtype" oneof:"bf16,f32" resume:"free" example:"f32" help:"The type in which gradients travel between devices; their sums are float32. Not given, it is f32 where dtype is."`
	Gather            string `yaml:"gather" oneof:"block,matrix" resume:"free" example:"matrix" help:"What zero3 brings together ahead of its use: matrix takes smaller buffers, and sends the weights once for each micro-batch."`
	Threads           int    `yaml:"threads" resume:"free" example:"4" help:"The number of CPU threads; 0 takes all. The results do not depend on it."`
	MemoryLimit       string `yaml:"memory_limit" resume:"free" example:"4GiB" help:"The most memory a run may plan for, on GPUs that of one; a run that needs more is refused. Empty is no limit."`

	DType    string `yaml:"dtype" group:"Numbers" oneof:"bf16,f32" planned:"fp16" help:"The type of weights and activations; f32 takes twice the memory of bf16."`
	Rounding string `yaml:"rounding" oneof:"stochastic,nearest" help:"How updated bf16 weights are rounded; nearest loses updates that are small beside the weight."`

	Datasets      []Dataset `yaml:"datasets" group:"Data" example:"[{path: train.jsonl, type: messages}]" help:"The training data, a list of {path, type, split, weight}."`
	EvalDatasets  []Dataset `yaml:"eval_datasets" example:"[{path: held-out.jsonl, type: messages}]" help:"The held-out data, a list like that of datasets."`
	ValSetSize    float64   `yaml:"val_set_size" example:"0.05" help:"The part of datasets that is held out: below 1 a share, from 1 a number of samples."`
	SequenceLen   int       `yaml:"sequence_len" example:"2048" help:"The most tokens of a sequence; longer samples are cut."`
	Packing       bool      `yaml:"packing" example:"false" help:"Fill sequences with several samples, which do not see each other."`
	Shuffle       bool      `yaml:"shuffle" example:"false" help:"Take the samples in another order every epoch, which seed fixes."`
	ChatTemplate  string    `yaml:"chat_template" example:"chatml" help:"How conversations are written: tokenizer takes the model's own template; else a name (alpaca, chatml, deepseek, gemma, llama-2, llama-3, mistral, phi, qwen, zephyr, or one that came with the model), a Jinja template or a file with one. It is saved with the model."`
	TrainOnInputs bool      `yaml:"train_on_inputs" example:"true" help:"Learn prompts too, not only responses."`
	RolesToTrain  []string  `yaml:"roles_to_train" example:"[assistant, tool]" help:"The roles whose turns of a conversation are learned."`
	TrainOnEOS    string    `yaml:"train_on_eos" oneof:"turn,all,last,none" example:"all" help:"Which tokens that end a turn are learned: those of learned turns (turn), of all turns, of the last turn, or none."`

	MicroBatchSize            int     `yaml:"micro_batch_size" group:"Batch and length" resume:"free" example:"8" help:"How many sequences go through a block at once; it sets the memory of activations."`
	GradientAccumulationSteps int     `yaml:"gradient_accumulation_steps" resume:"free" example:"4" help:"How many micro-batches make a step; above 1 the gradient of one block is held."`
	NumEpochs                 float64 `yaml:"num_epochs" resume:"free" example:"3" help:"How often a run passes over the data, unless max_steps is given."`
	MaxSteps                  int     `yaml:"max_steps" resume:"free" example:"1000" help:"The number of optimizer steps of a run, instead of num_epochs."`
	GradientCheckpointing     bool    `yaml:"gradient_checkpointing" resume:"free" example:"false" help:"Keep only the inputs of blocks and compute the blocks again: less memory for a third more time."`
	Seed                      uint64  `yaml:"seed" example:"7" help:"What shuffling, rounding and every other draw depend on."`

	Method    string `yaml:"method" group:"Method and optimizer" oneof:"full" planned:"hift,lisa,badam,lora,qlora,lora_lomo,mezo,sparse_zo" help:"Which weights are trained when: full trains all of them at every step."`
	Optimizer string `yaml:"optimizer" oneof:"adalomo,lomo,adamw,sgd" planned:"adamw8bit,adagrad,adafactor,lion,muon,galore,apollo" example:"adamw" help:"What turns gradients into updates: adalomo, lomo and sgd without momentum hold no gradient and no large state; adamw adds 12 bytes a weight."`

	LearningRate float64 `yaml:"learning_rate" group:"Learning rate" example:"2e-5" help:"The highest rate of the run. Not given, it is the usual one of the optimizer."`
	LRScheduler  string  `yaml:"lr_scheduler" oneof:"linear,cosine,constant,wsd,polynomial,inverse_sqrt,lomo_linear" example:"cosine" help:"The course of the rate after warm-up."`
	WarmupRatio  float64 `yaml:"warmup_ratio" example:"0.03" help:"The share of the steps in which the rate rises."`
	WarmupSteps  int     `yaml:"warmup_steps" example:"20" help:"The number of steps in which the rate rises, instead of warmup_ratio."`
	WeightDecay  float64 `yaml:"weight_decay" example:"0.1" help:"At every step weights shrink by this times the rate."`

	MaxGradNorm  float64 `yaml:"max_grad_norm" group:"Gradients" alias:"clip_grad_norm" example:"1.0" help:"The largest norm of a step's gradient, to which larger ones are scaled; 0 is off."`
	ClipPolicy   string  `yaml:"clip_policy" oneof:"exact,lagged" example:"lagged" help:"Which norm max_grad_norm goes by: exact adds a backward sweep for it; lagged takes that of the last step, which is free."`
	ClipValue    float64 `yaml:"clip_value" example:"1.0" help:"The largest absolute value of an element of a gradient; 0 is off."`
	OnNonfinite  string  `yaml:"on_nonfinite" oneof:"stop,skip" example:"skip" help:"What to do with a step whose loss or gradient is not finite."`
	LossSpike    string  `yaml:"loss_spike" hidden:"true" oneof:"off" planned:"skip,stop" help:"What to do with a step whose loss jumps."`
	NEFTuneAlpha float64 `yaml:"neftune_alpha" hidden:"true" help:"Noise on embeddings; 0 is off."`

	EvalSteps      int      `yaml:"eval_steps" group:"Evaluation, checkpoints, reports" resume:"free" example:"50" help:"How many steps lie between evaluations; 0 evaluates only at the end, and before the first step unless eval_on_start is false."`
	EvalOnStart    bool     `yaml:"eval_on_start" resume:"free" example:"false" help:"Evaluate once before the first step, where there is held-out data: what the model knew before."`
	SamplePrompts  int      `yaml:"sample_prompts" resume:"free" example:"5" help:"How many prompts of the held-out data, else of the training data, the model answers before the first step and after the last, for report.html and samples.jsonl, in runs on the CPU without offload; 0 is off."`
	SaveSteps      int      `yaml:"save_steps" resume:"free" example:"200" help:"How many steps lie between checkpoints. There is one after the last step too, from which a run can go on; 0 saves only on interrupt."`
	SaveTotalLimit int      `yaml:"save_total_limit" resume:"free" example:"1" help:"How many checkpoints are kept; 0 keeps all."`
	SaveFinal      bool     `yaml:"save_final" resume:"free" example:"false" help:"Write the trained model into output_dir at the end."`
	Export         string   `yaml:"export" oneof:"none,gguf" resume:"free" example:"gguf" help:"Write the trained model once more at the end: gguf makes output_dir/model.gguf for llama.cpp and Ollama, with a Modelfile."`
	ExportDType    string   `yaml:"export_dtype" oneof:"f32,f16,bf16,q8_0,q4_0,q4_k,q6_k" resume:"free" example:"q8_0" help:"The type of the matrices in the file of export; q4_k is llama.cpp's Q4_K_M."`
	MaxShardSize   string   `yaml:"max_shard_size" resume:"free" example:"5GB" help:"The largest safetensors file of a saved model; a larger model is several files."`
	LoggingSteps   int      `yaml:"logging_steps" resume:"free" example:"10" help:"How many steps lie between lines of metrics.jsonl."`
	ReportTo       []string `yaml:"report_to" oneof:"json,tensorboard" resume:"free" example:"[json, tensorboard]" help:"Where metrics go: json is metrics.jsonl, which is always written; tensorboard adds event files in output_dir/runs."`
	Resume         string   `yaml:"resume" resume:"free" example:"none" help:"What a run goes on from: auto takes the newest complete checkpoint of output_dir, none starts afresh; else it is the folder of a checkpoint."`

	AdaLomo AdaLomo `yaml:"adalomo"`
	AdamW   AdamW   `yaml:"adamw"`
	SGD     SGD     `yaml:"sgd"`
}

// Dataset is one entry of datasets and eval_datasets.
type Dataset struct {
	Path   string  `yaml:"path" help:"A json, jsonl, csv, parquet or txt file, a folder of them, or a pattern."`
	Type   string  `yaml:"type" help:"What a record holds."`
	Split  string  `yaml:"split" help:"The part of a data set that has several."`
	Weight float64 `yaml:"weight" help:"The share of the samples used; 1 is all of them, 2 takes each twice."`
}

// AdaLomo is optim.AdaLomoConfig as a user writes it.
type AdaLomo struct {
	ClipThreshold float64   `yaml:"clip_threshold" help:"The largest RMS of a tensor's update before it is scaled."`
	DecayRate     float64   `yaml:"decay_rate" help:"The exponent of the moments' memory, which at step t is 1 - t^decay_rate."`
	Eps           []float64 `yaml:"eps" len:"2" help:"What is added to squared gradients, and the least RMS of a weight."`
	Importance    string    `yaml:"importance" hidden:"true" oneof:"none" planned:"element,row,tensor" help:"Weigh updates by |gradient x weight|."`
}

// AdamW is optim.AdamWConfig as a user writes it.
type AdamW struct {
	Betas        []float64 `yaml:"betas" len:"2" example:"[0.9, 0.95]" help:"The memory of the first and of the second moment."`
	Eps          float64   `yaml:"eps" help:"What is added to the root of the second moment."`
	Master       string    `yaml:"master" oneof:"f32,none" example:"none" help:"f32 keeps float32 weights beside bf16 ones, which takes 4 bytes a weight."`
	DecayVectors bool      `yaml:"decay_vectors" example:"true" help:"Let the gains of norms decay too."`
}

// SGD is optim.SGDConfig as a user writes it.
type SGD struct {
	Momentum  float64 `yaml:"momentum" example:"0.9" help:"The share of the last update that is kept; above 0 it adds 4 bytes a weight."`
	Dampening float64 `yaml:"dampening" help:"The share of a gradient that does not enter the momentum."`
	Nesterov  bool    `yaml:"nesterov" example:"true" help:"Look ahead by Nesterov's rule."`
}
