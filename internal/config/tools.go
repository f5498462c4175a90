package config

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// The trainers whose configurations are known as such.
const (
	Axolotl      = "axolotl"
	LLaMAFactory = "LLaMA-Factory"
	Torchtune    = "torchtune"
	HuggingFace  = "TRL or transformers"
)

// marks are keys that one trainer alone has.
var marks = map[string]string{
	Axolotl: "sequence_len base_model micro_batch_size adapter sample_packing pad_to_sequence_len dataset_prepared_path wandb_project wandb_entity wandb_watch wandb_name wandb_log_model flash_attention " +
		"special_tokens evals_per_epoch saves_per_epoch lora_r lora_target_linear lora_model_dir train_on_inputs gradient_checkpointing_kwargs model_type tokenizer_type load_in_4bit load_in_8bit eval_sample_packing xformers_attention",
	LLaMAFactory: "stage finetuning_type template cutoff_len dataset_dir overwrite_cache preprocessing_num_workers lora_rank lora_target plot_loss quantization_bit overwrite_output_dir val_size " +
		"do_train per_device_train_batch_size num_train_epochs lr_scheduler_type dataset eval_dataset neat_packing flash_attn",
	HuggingFace: "dataset_name dataset_text_field dataset_config dataset_train_split dataset_test_split per_device_train_batch_size per_device_eval_batch_size num_train_epochs lr_scheduler_type optim " +
		"max_seq_length max_length assistant_only_loss completion_only_loss use_peft eval_strategy save_strategy logging_strategy gradient_checkpointing_kwargs push_to_hub hub_model_id attn_implementation torch_dtype adam_beta1 adam_beta2 adam_epsilon bf16 run_name load_best_model_at_end",
}

// ToolOf is the trainer that a configuration is for, "" where it is lomo's or none that is known.
func ToolOf(root *yaml.Node) string {
	if root.Kind != yaml.MappingNode {
		return ""
	}
	strange, components := 0, 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		value := resolve(root.Content[i+1])
		if value.Kind == yaml.MappingNode && pair(value, "_component_") != nil {
			components++
		}
		if _, ours := find(keys, root.Content[i].Value); !ours {
			if _, known := Elsewhere(root.Content[i].Value); known {
				strange++
			}
		}
	}
	if components > 0 {
		return Torchtune
	}
	if strange < 3 { // a few habits make no other trainer's file
		return ""
	}
	best, most := "", 2
	for _, tool := range []string{Axolotl, LLaMAFactory, HuggingFace} {
		n := 0
		for _, mark := range strings.Fields(marks[tool]) {
			if pair(root, mark) != nil {
				n++
			}
		}
		if n > most {
			best, most = tool, n
		}
	}
	return best
}
