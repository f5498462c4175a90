package config

import (
	"errors"
	"strings"
	"testing"
)

// common are keys that configurations of other trainers often hold.
var common = map[string]string{
	Axolotl: `base_model model_type tokenizer_type load_in_8bit load_in_4bit adapter lora_model_dir lora_r lora_alpha lora_dropout lora_target_linear lora_target_modules lora_modules_to_save lora_fan_in_fan_out
		sequence_len sample_packing eval_sample_packing pad_to_sequence_len datasets test_datasets dataset_prepared_path val_set_size output_dir chat_template default_system_message wandb_project wandb_entity wandb_watch
		wandb_name wandb_log_model gradient_accumulation_steps micro_batch_size num_epochs max_steps optimizer lr_scheduler learning_rate cosine_min_lr_ratio train_on_inputs group_by_length bf16 fp16 tf32
		gradient_checkpointing gradient_checkpointing_kwargs early_stopping_patience resume_from_checkpoint auto_resume_from_checkpoints local_rank logging_steps xformers_attention flash_attention sdp_attention
		flash_attn_cross_entropy flash_attn_rms_norm flash_attn_fuse_mlp flash_attn_fuse_qkv s2_attention warmup_steps warmup_ratio evals_per_epoch eval_steps eval_table_size eval_max_new_tokens eval_strategy saves_per_epoch save_steps
		save_strategy save_total_limit save_safetensors save_first_step debug deepspeed weight_decay fsdp fsdp_config special_tokens tokens trust_remote_code hub_model_id push_dataset_to_hub hf_use_auth_token rl plugins
		liger_rope liger_rms_norm liger_glu_activation liger_layer_norm liger_fused_linear_cross_entropy unfrozen_parameters neftune_noise_alpha loss_watchdog_threshold max_grad_norm adam_beta1 adam_beta2 adam_epsilon seed
		torch_compile dataset_processes dataloader_num_workers shuffle_merged_datasets remove_unused_columns excess_length_strategy lora_mlp_kernel lora_qkv_kernel lora_o_kernel strict use_tensorboard mlflow_tracking_uri pretraining_dataset
		streaming eot_tokens is_llama_derived_model rope_scaling base_model_config tokenizer_use_fast qlora_sharded_model_loading peft_use_dora relora_steps sequence_parallel_degree dataset_exact_deduplication batch_size eval_batch_size`,
	LLaMAFactory: `model_name_or_path trust_remote_code stage do_train do_eval do_predict finetuning_type lora_rank lora_alpha lora_dropout lora_target freeze_trainable_layers deepspeed dataset dataset_dir eval_dataset template cutoff_len max_samples
		overwrite_cache preprocessing_num_workers dataloader_num_workers output_dir logging_steps save_steps plot_loss overwrite_output_dir save_only_model report_to per_device_train_batch_size gradient_accumulation_steps learning_rate
		num_train_epochs lr_scheduler_type warmup_ratio warmup_steps bf16 fp16 pure_bf16 ddp_timeout resume_from_checkpoint val_size per_device_eval_batch_size eval_strategy eval_steps quantization_bit quantization_method flash_attn packing
		neat_packing train_on_prompt mask_history streaming mix_strategy interleave_probs use_galore galore_rank galore_layerwise use_badam badam_mode use_apollo use_unsloth enable_liger_kernel use_swanlab swanlab_project disable_gradient_checkpointing
		upcast_layernorm neftune_noise_alpha optim max_grad_norm seed include_num_input_tokens_seen pref_beta pref_loss reward_model image_max_pixels video_max_pixels freeze_vision_tower additional_target resize_vocab new_special_tokens_config
		adapter_name_or_path export_dir rope_scaling use_dora use_rslora loraplus_lr_ratio default_system enable_thinking tokenized_path low_cpu_mem_usage media_dir infer_backend vllm_maxlen`,
	Torchtune: `output_dir model tokenizer dataset dataset_val seed shuffle checkpointer resume_from_checkpoint batch_size epochs optimizer lr_scheduler loss max_steps_per_epoch gradient_accumulation_steps optimizer_in_bwd clip_grad_norm compile device
		enable_activation_checkpointing enable_activation_offloading custom_sharded_layers fsdp_cpu_offload dtype metric_logger log_every_n_steps log_peak_memory_stats log_level profiler quantizer save_adapter_weights_only tensor_parallel_dim tensor_parallel_plan
		run_val_every_n_steps ac_mode ac_option low_cpu_ram collate_fn kd_ratio max_seq_length packed`,
	HuggingFace: `model_name_or_path output_dir per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps eval_accumulation_steps learning_rate weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm num_train_epochs max_steps
		lr_scheduler_type lr_scheduler_kwargs warmup_ratio warmup_steps log_level logging_dir logging_strategy logging_first_step logging_steps save_strategy save_steps save_total_limit save_safetensors save_on_each_node no_cuda use_cpu seed data_seed bf16 fp16
		bf16_full_eval tf32 local_rank ddp_backend dataloader_drop_last eval_steps dataloader_num_workers run_name disable_tqdm remove_unused_columns label_names load_best_model_at_end metric_for_best_model greater_is_better ignore_data_skip fsdp
		fsdp_config deepspeed label_smoothing_factor optim optim_args group_by_length length_column_name report_to ddp_find_unused_parameters dataloader_pin_memory push_to_hub resume_from_checkpoint hub_model_id hub_strategy hub_token gradient_checkpointing
		gradient_checkpointing_kwargs auto_find_batch_size full_determinism torch_compile torch_compile_backend include_tokens_per_second neftune_noise_alpha evaluation_strategy eval_strategy eval_delay eval_on_start do_train do_eval overwrite_output_dir
		dataset_name dataset_config dataset_text_field dataset_kwargs dataset_num_proc max_length max_seq_length packing packing_strategy padding_free eval_packing completion_only_loss assistant_only_loss use_liger_kernel model_init_kwargs eos_token pad_token
		attn_implementation torch_dtype use_peft lora_r lora_target_modules load_in_4bit bnb_4bit_quant_type model_revision average_tokens_across_devices prediction_loss_only`,
	"unsloth": `model_name max_seq_length dtype load_in_4bit load_in_8bit full_finetuning r target_modules lora_alpha lora_dropout bias use_gradient_checkpointing random_state use_rslora loftq_config dataset_text_field dataset_num_proc packing
		finetune_vision_layers finetune_language_layers finetune_attention_modules finetune_mlp_modules train_on_responses_only`,
}

// TestKeysElsewhere: every key that other trainers' configurations often hold is lomo's own or has an answer.
func TestKeysElsewhere(t *testing.T) {
	for tool, list := range common {
		for _, name := range strings.Fields(list) {
			_, ours := find(keys, name)
			if _, answered := Elsewhere(name); !ours && !answered {
				t.Errorf("%s: no answer to %s", tool, name)
			}
		}
	}
}

// TestAnswers: one answer a key, none to a key of our own, each names a key that there is, and a note is part of a sentence.
func TestAnswers(t *testing.T) {
	for _, table := range [][]row{foreign} {
		seen := map[string]bool{}
		for _, r := range table {
			if _, known := find(keys, r.To); r.Kind == Renamed && !known {
				t.Errorf("%q is no key of lomo", r.To)
			}
			if r.Kind != Renamed && r.Note == "" || strings.HasSuffix(r.Note, ".") {
				t.Errorf("%s: note %q", r.names, r.Note)
			}
			for _, n := range strings.Fields(r.names) {
				if seen[n] {
					t.Errorf("two answers to %s", n)
				}
				seen[n] = true
				if _, ours := find(keys, n); ours {
					t.Errorf("%s is a key of lomo", n)
				}
			}
		}
	}
	for _, f := range families {
		for _, k := range keys {
			if strings.HasPrefix(k.Name, f.prefix) {
				t.Errorf("%s begins with %s, an answer", k.Name, f.prefix)
			}
		}
	}
	for key, table := range words {
		k, _ := find(keys, key)
		for w, m := range table {
			if key == "type" && !KnownType(m.to) || key != "type" && !contains(k.OneOf, m.to) {
				t.Errorf("%s: %s stands for %q, which it does not take", key, w, m.to)
			}
			if w != strings.ToLower(w) {
				t.Errorf("%s: %s is not in lower case", key, w)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// TestToolOf tells configurations of other trainers from lomo's with a foreign habit or two.
func TestToolOf(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"model: m\noutput_dir: o\nlearning_rate: 1\n", ""},
		{"model: m\nlr: 1\nepochs: 3\n", ""},
		{"base_model: m\nadapter: lora\nsequence_len: 4096\nsample_packing: true\nwandb_project: x\nmicro_batch_size: 1\n", Axolotl},
		{"model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: full\ndataset: a\ntemplate: llama3\ncutoff_len: 2048\n", LLaMAFactory},
		{"model: {_component_: torchtune.models.llama3.llama3_8b}\nepochs: 1\n", Torchtune},
		{"model_name_or_path: m\ndataset_name: a\nnum_train_epochs: 1\nper_device_train_batch_size: 2\nmax_length: 10\n", HuggingFace},
	} {
		_, err := Load(Input{File: write(t, c.yaml)})
		said := ""
		if all := (Errors)(nil); errors.As(err, &all) && strings.HasPrefix(all[len(all)-1].Msg, "this is a configuration of ") {
			said = strings.TrimPrefix(all[len(all)-1].Msg, "this is a configuration of ")
		}
		if said != c.want {
			t.Errorf("%q: %q, want %q", c.yaml, said, c.want)
		}
	}
}
