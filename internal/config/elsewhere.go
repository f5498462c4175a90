package config

// elsewhere are the names other trainers give to our keys.
var elsewhere = map[string]string{
	"lr": "learning_rate", "lr_scheduler_type": "lr_scheduler", "scheduler": "lr_scheduler", "warmup": "warmup_ratio",
	"batch_size": "micro_batch_size", "per_device_train_batch_size": "micro_batch_size", "grad_accum": "gradient_accumulation_steps",
	"epochs": "num_epochs", "num_train_epochs": "num_epochs", "steps": "max_steps", "optim": "optimizer",
	"max_seq_length": "sequence_len", "max_seq_len": "sequence_len", "seq_len": "sequence_len", "max_length": "sequence_len",
	"cutoff_len": "sequence_len", "sample_packing": "packing", "dataset": "datasets", "train_file": "datasets",
	"test_datasets": "eval_datasets", "bf16": "dtype", "fp16": "dtype", "torch_dtype": "dtype", "clip_grad_value": "clip_value",
	"logging_dir": "output_dir", "num_gpus": "devices", "wd": "weight_decay", "save_every": "save_steps", "eval_every": "eval_steps",
}
