package config

import (
	"fmt"
	"strings"
)

// Answer is what lomo has to say of a key of another trainer.
type Answer struct {
	Kind AnswerKind
	To   string // the key that takes its place, for Renamed
	Note string // why, or how; "" where the name says it
}

// AnswerKind tells what becomes of a key of another trainer.
type AnswerKind int

const (
	Renamed   AnswerKind = iota // lomo has a key for it
	NotNeeded                   // lomo does so by itself, or it means nothing here
	NotHere                     // lomo does not do it
)

// Hint says it as the way out of an unknown key.
func (a Answer) Hint() string {
	switch {
	case a.Kind == NotNeeded:
		return "not needed, remove it: " + a.Note
	case a.Kind == NotHere:
		return "lomo has no such thing: " + a.Note
	case a.Note == "":
		return fmt.Sprintf("did you mean %q?", a.To)
	}
	return fmt.Sprintf("lomo has %s: %s", a.To, a.Note)
}

// Elsewhere is the answer to a key that other trainers know and lomo does not.
func Elsewhere(key string) (Answer, bool) {
	if a, known := elsewhere[key]; known {
		return a, true
	}
	for _, f := range families {
		if strings.HasPrefix(key, f.prefix) {
			return f.Answer, true
		}
	}
	return Answer{}, false
}

// OtherNames are what other trainers call a key, as far as the name alone says it.
func OtherNames(key string) []string {
	var out []string
	for _, row := range foreign {
		if row.Kind == Renamed && row.To == key && row.Note == "" {
			out = append(out, strings.Fields(row.names)...)
		}
	}
	return out
}

type row struct {
	Answer
	names string // of keys, separated by spaces
}

func renamed(to, note, names string) row { return row{Answer{Renamed, to, note}, names} }
func needless(why, names string) row     { return row{Answer{NotNeeded, "", why}, names} }
func notHere(why, names string) row      { return row{Answer{NotHere, "", why}, names} }

const (
	allWeights = "all weights are trained, without adapters; learning_rate must be that of full fine-tuning, such as 2e-5 with adamw"
	fullBits   = "training needs all bits of the weights: dtype is bf16 or f32; `lomo memprofile --recommend` finds what fits"
	oneKind    = "it trains on texts and conversations (stage sft and pt), not on preferences or rewards"
	ownRecord  = "metrics.jsonl and report.html in output_dir hold the run's record"
	textOnly   = "it trains language models without images or sound"
	fromModel  = "it is read from the model's folder"
	inFolder   = "tokens are those of the model's folder; add new ones there before the run"
	fused      = "kernels are fused, and the loss never holds all logits"
	scores     = "attention never holds the matrix of scores"
	readAnew   = "data are read and tokenized at the start of each run, and nothing is kept beside it"
	zero3      = "zero3 with devices: 8 spreads weights and gradients as ZeRO-3 and FSDP do"
	fixedRate  = "a schedule has no settings but learning_rate, warmup_ratio and warmup_steps"
	afterwards = "`lomo generate` and `lomo eval` try the trained model"
	byUpload   = "upload output_dir when the run is done"
	lastModel  = "a run trains to its end and saves that model; checkpoints are kept by save_total_limit"
	ranks      = "devices share weights by sharding: zero3 alone"
	perRecord  = "docs/data.md lists the fields of each type; rename those of the file"
)

// foreign are the keys of axolotl, LLaMA-Factory, torchtune, transformers' TrainingArguments, TRL's SFTConfig and unsloth, and names
// that users try.
var foreign = []row{
	// The model.
	renamed("model", "", "pretrained_model_name_or_path model_name model_path model_id base_model_name pretrained_model hf_model"),
	renamed("model", "the folder that holds weights, config.json and tokenizer", "checkpointer checkpoint_dir checkpoint_files"),
	needless("the tokenizer "+strings.TrimPrefix(fromModel, "it "), "tokenizer tokenizer_name tokenizer_name_or_path tokenizer_path tokenizer_config tokenizer_type tokenizer_use_fast tokenizer_legacy use_fast_tokenizer use_fast tokenizer_use_mistral_common tokenizer_save_jinja_files processor_type"),
	needless(fromModel, "base_model_config model_type type_of_model cls_model_config is_llama_derived_model is_mistral_derived_model is_falcon_derived_model is_qwen_derived_model model_max_length"),
	notHere("config.json of the model holds it; change it there", "rope_scaling rope_theta overrides_of_model_config overrides_of_model_kwargs model_init_kwargs mixture_of_depths shift_attn"),
	notHere("model is a folder on this machine; download the revision that you want", "model_revision revision revision_of_model hub_revision"),
	needless("no code of a model's folder is run", "trust_remote_code"),
	needless("a model is read tensor by tensor from its folder", "low_cpu_mem_usage device_map max_memory cache_dir hf_use_auth_token hf_hub_token ms_hub_token om_hub_token hub_token use_auth_token token use_cache use_kv_cache offload_folder download_mode experimental_skip_move_to_device"),
	notHere(inFolder+". A pad token alone is not needed", "special_tokens tokens added_tokens_overrides add_tokens add_special_tokens new_special_tokens_config init_special_tokens resize_vocab resize_token_embeddings_to_32x mean_resizing_embeddings shrink_embeddings additional_special_tokens fix_untrained_tokens"),
	needless("padding needs no token, and the others are those of the model", "pad_token eos_token bos_token unk_token pad_token_id eot_tokens split_special_tokens skip_special_tokens"),
	notHere("`lomo new` makes a random model to start from", "train_from_scratch reinit_weights"),

	// What is trained.
	renamed("method", "full, all weights, is what this version does", "finetuning_type training_type tuner_type train_type"),
	needless("all weights are trained", "full_finetuning fft full_finetune finetune_language_layers finetune_attention_modules finetune_mlp_modules"),
	needless("supervised fine-tuning is what lomo does; for stage pt, data of type text", "stage task_type"),
	notHere(allWeights, "adapter lora peft use_peft merge_lora merge_method create_new_adapter adapter_name_or_path adapter_folder target_modules modules_to_save loraplus_lr_ratio loraplus_lr_embedding use_dora use_rslora additional_target save_adapter_weights_only gptq qlora_sharded_model_loading r bias loftq_config layers_to_transform"),
	notHere(fullBits, "load_in_8bit load_in_4bit quantization_bit quantization_method quantization_type double_quantization quantization_device_map quantization quantizer qat use_bnb_nested_quant model_quantization_config model_quantization_config_kwargs load_in_fp8 load_in_16bit fp8 fp8_config fp8_backend"),
	notHere("all weights are trained at every step", "unfrozen_parameters freeze_trainable_layers freeze_trainable_modules freeze_extra_modules use_llama_pro lisa_n_layers lisa_step_interval lisa_layers_attribute use_badam use_galore use_apollo finetune_vision_layers"),
	notHere(oneKind, "rl trl vllm ebft reward_model process_reward_model rl_beta orpo_alpha simpo_gamma cpo_alpha ref_model center_rewards_coefficient num_labels label_smoothing_factor teacher_model kd_ratio kd_loss"),
	notHere(textOnly, "image_size image_resize_algorithm media_dir freeze_vision_tower freeze_multi_modal_projector freeze_language_model freeze_mm_modules crop_to_patches use_audio_in_video is_multimodal"),
	needless("the loss is cross-entropy over the learned tokens of a step", "loss loss_type ignore_pad_token_for_loss average_tokens_across_devices"),

	// Batch and length.
	renamed("micro_batch_size", "", "batch_size per_device_train_batch_size per_gpu_train_batch_size per_device_batch_size train_batch_size micro_bsz bsz batchsize"),
	needless("evaluation takes micro_batch_size", "eval_batch_size per_device_eval_batch_size eval_accumulation_steps batch_eval_metrics"),
	renamed("micro_batch_size", "`lomo memprofile` says which size fits", "auto_find_batch_size"),
	renamed("gradient_accumulation_steps", "", "grad_accum grad_accumulation_steps gradient_accumulation accumulate_grad_batches grad_acc_steps grad_accum_steps accumulation_steps"),
	renamed("num_epochs", "", "epochs num_train_epochs n_epochs max_epochs total_epochs epoch train_epochs"),
	renamed("max_steps", "", "steps max_train_steps total_steps num_steps train_steps max_iters num_train_steps"),
	renamed("max_steps", "the steps of the whole run, not of an epoch", "max_steps_per_epoch"),
	renamed("sequence_len", "", "max_seq_length max_seq_len seq_len seq_length sequence_length max_length max_len cutoff_len cutoff_length block_size context_length model_max_len max_packed_sequence_len"),
	renamed("packing", "", "sample_packing packed neat_packing pack"),
	needless("packing alone decides how sequences are filled", "eval_sample_packing eval_packing pad_to_sequence_len pad_to_max_length pad_to_multiple_of sample_packing_group_size sample_packing_bin_size sample_packing_eff_est sample_packing_sequentially sample_packing_mp_start_method multipack_real_batches batch_flattening padding_free packing_strategy group_by_length length_column_name train_sampling_strategy pretrain_multipack_attn block_diag_attn dataloader_drop_last"),
	needless("samples longer than sequence_len are cut at their end, and counted", "excess_length_strategy truncation_mode truncation truncation_side max_prompt_len eval_sequence_len min_sample_len"),

	// Learning rate and optimizer.
	renamed("learning_rate", "", "lr rate max_lr peak_lr"),
	renamed("lr_scheduler", "", "lr_scheduler_type scheduler lr_schedule lr_schedule_type lr_decay_style schedule scheduler_type"),
	notHere(fixedRate, "lr_scheduler_kwargs cosine_min_lr_ratio cosine_constant_lr_ratio lr_div_factor min_lr min_lr_ratio lr_quadratic_warmup num_cycles lr_groups embedding_lr embedding_lr_scale lr_end jagged_restart_steps jagged_restart_warmup_steps jagged_restart_anneal_steps relora relora_prune_ratio"),
	renamed("warmup_steps", "", "num_warmup_steps lr_warmup_steps warmup_iters warm_up_steps"),
	renamed("warmup_ratio", "", "warmup warmup_proportion warmup_fraction warm_up_ratio"),
	renamed("optimizer", "", "optim optimizer_name optimizer_type opt"),
	renamed("adamw.betas", "both in a list, adamw: {betas: [0.9, 0.999]}", "adam_beta1 adam_beta2 beta1 beta2 adam_betas"),
	renamed("adamw.eps", "", "adam_epsilon adam_eps epsilon"),
	notHere("options stand in the block of the optimizer, such as adamw: {eps: 1e-8}", "optim_args optim_target_modules adam_beta3 adam_epsilon2 torchdistx_path use_adam_mini use_muon fused foreach amsgrad"),
	needless("lomo and adalomo update as the backward pass goes; adamw and sgd do not hold all gradients either", "optimizer_in_bwd"),
	renamed("weight_decay", "", "wd decay l2"),
	renamed("max_grad_norm", "", "grad_clip gradient_clip clip_grad gradient_clip_val gradient_clipping max_norm grad_norm_clip"),
	renamed("clip_value", "", "clip_grad_value gradient_clip_value"),
	notHere("this version adds no noise to embeddings", "neftune_noise_alpha noisy_embedding_alpha neftune"),
	notHere("a rising loss is not watched; a loss that is not finite ends the run", "loss_watchdog_threshold loss_watchdog_patience"),
	notHere("the loss is plain cross-entropy", "use_dft_loss use_eaft_loss use_eaft eaft_alpha eaft_k use_asft_loss asft_alpha z_loss moe_aux_loss_coef router_aux_loss_coef scaling_softmax"),

	// Types of numbers, memory and speed.
	renamed("dtype", "bf16 or f32", "bf16 fp16 bfloat16 float16 float32 fp32 torch_dtype compute_dtype infer_dtype precision mixed_precision pure_bf16 bf16_full_eval fp16_full_eval half_precision weight_dtype"),
	needless("sums are float32, and dtype says the rest", "tf32 upcast_layernorm upcast_lmhead_output fp32_norms fp32_norm_classes embeddings_skip_upcast keep_fp32"),
	needless(scores, "flash_attention flash_attn sdp_attention xformers_attention flex_attention eager_attention sage_attention s2_attention attn_implementation use_flash_attention_2 use_flash_attention use_flash_attn flash_optimum flex_attn_compile_kwargs large_head_attention sdpa_varlen fused_attn_kernel heads_k_stride ring_attn_func attention"),
	needless(fused, "use_liger_kernel enable_liger_kernel liger_kernel_config compile torch_compile torch_compile_backend torch_compile_mode torch_compile_options deepcompile use_kernels plugins chunked_cross_entropy chunked_cross_entropy_num_chunks cut_cross_entropy tiled_mlp tiled_mlp_num_shards tiled_mlp_use_original_mlp use_unsloth use_v1_kernels use_onebitllms unsloth_cross_entropy_loss"),
	renamed("gradient_checkpointing", "", "enable_activation_checkpointing activation_checkpointing use_gradient_checkpointing recompute use_unsloth_gc"),
	renamed("gradient_checkpointing", "false turns it off", "disable_gradient_checkpointing"),
	needless("gradient_checkpointing: true is all it takes", "gradient_checkpointing_kwargs activation_checkpointing_kwargs use_reentrant_gc use_reentrant selective_checkpointing ac_mode ac_option"),
	renamed("activation_offload", "host or disk, where the inputs of blocks wait", "activation_offloading enable_activation_offloading layer_offloading"),
	renamed("offload", "disk, or for a GPU host", "cpu_offload fsdp_cpu_offload"),
	renamed("memory_limit", "", "gpu_memory_limit max_memory_gb"),
	renamed("sharding", zero3, "deepspeed fsdp fsdp_config fsdp_version fsdp_final_state_dict_type zero_stage zero_optimization dp_shard_size accelerator_config parallelism_config ddp memory_efficient_fsdp_wrap custom_sharded_layers distributed_strategy"),
	renamed("devices", "", "num_gpus n_gpu n_gpus gpus nproc_per_node num_processes world_size ngpu"),
	notHere(ranks, "tensor_parallel_size tensor_parallel_dim tensor_parallel_plan context_parallel_size sequence_parallel_degree pipeline_parallel_size dp_replicate_size"),
	needless("lomo starts its ranks itself", "local_rank log_on_each_node use_ray ray_num_workers ray_run_name resources_per_worker ray_init_kwargs master_addr master_port"),
	renamed("device", "cpu turns the GPU off", "use_cpu no_cuda"),
	renamed("threads", "", "num_threads n_threads cpu_threads"),
	needless("memory is planned before the run and given back as it goes", "gc_steps gc_collect_steps torch_empty_cache_steps skip_memory_metrics log_peak_memory_stats low_cpu_ram"),

	// Data.
	renamed("datasets", "a list, datasets: [{path: train.jsonl, type: messages}]", "dataset dataset_name train_file train_data train_dataset data_path data_files dataset_path data_file training_data training_files dataset_train_split dataset_config pretraining_dataset data"),
	renamed("datasets", "the path of each data set holds its folder", "dataset_dir data_dir task_dir"),
	renamed("datasets", "the weight of a data set: 0.1 takes a tenth of it", "max_samples max_train_samples num_samples interleave_probs mix_strategy dataset_shard_num dataset_shard_idx"),
	renamed("eval_datasets", "a list, eval_datasets: [{path: held-out.jsonl, type: messages}]", "test_datasets eval_dataset validation_file eval_file eval_data eval_on_each_dataset dataset_test_split validation_dataset dataset_val test_file"),
	renamed("val_set_size", "", "val_size validation_split test_split_size eval_split test_size validation_split_percentage"),
	renamed("shuffle", "", "shuffle_merged_datasets shuffle_dataset shuffle_before_merging_datasets curriculum_sampling"),
	renamed("shuffle", "false turns it off", "disable_shuffling"),
	renamed("chat_template", "", "template prompt_template chat_template_jinja chat_template_path conversation_template"),
	notHere("data may hold chat_template_kwargs, a field of a record", "chat_template_kwargs enable_thinking preserve_thinking tool_format"),
	notHere("write it into the data, as a system message or the field system", "default_system default_system_message system_prompt"),
	renamed("train_on_inputs", "", "train_on_prompt train_on_input train_on_source"),
	notHere("every answer of a conversation is learned; \"train\": false in the data leaves an earlier message out", "mask_history"),
	needless("only responses are learned, unless train_on_inputs is true", "assistant_only_loss completion_only_loss train_on_responses_only only_train_on_responses response_template train_on_completions_only"),
	renamed("train_on_eos", "", "train_on_eot"),
	notHere(perRecord, "dataset_text_field text_field text_column dataset_kwargs field_messages columns formatting messages_field prompt_column response_column label_names"),
	renamed("datasets", "each data set has a type", "type data_type dataset_type dataset_format"),
	needless(readAnew, "dataset_prepared_path dataset_processes dataset_num_proc dataset_keep_in_memory skip_prepare_dataset num_dataset_shards_to_save push_dataset_to_hub preprocessing_num_workers preprocessing_batch_size overwrite_cache tokenized_path data_shared_file_system streaming dataset_streaming buffer_size streaming_multipack_buffer_size pretrain_multipack_buffer_size num_workers is_preprocess preprocess_iterable remove_unused_columns ignore_data_skip collate_fn"),
	notHere("remove doubled records from the file", "dataset_exact_deduplication"),

	// Evaluation, checkpoints, reports.
	renamed("output_dir", "", "output out_dir output_path save_dir logging_dir output_folder log_dir run_dir export_dir"),
	renamed("eval_steps", "the steps between two evaluations: steps of an epoch / evaluations you want; `lomo train --dry-run` says the steps", "evals_per_epoch eval_strategy evaluation_strategy eval_delay"),
	renamed("eval_steps", "", "eval_every eval_interval eval_freq evaluation_steps eval_every_n_steps run_val_every_n_steps"),
	renamed("save_steps", "the steps between two checkpoints: steps of an epoch / checkpoints you want; `lomo train --dry-run` says the steps", "saves_per_epoch save_strategy"),
	renamed("save_steps", "", "save_every save_interval save_freq checkpoint_every checkpointing_steps save_every_n_steps"),
	renamed("save_total_limit", "", "keep_checkpoints max_checkpoints save_limit"),
	renamed("logging_steps", "", "log_every log_interval log_every_n_steps log_steps log_freq"),
	renamed("logging_steps", "the steps between two lines of metrics.jsonl", "logging_strategy logging_first_step"),
	renamed("eval_datasets", "held-out data are evaluated whenever they are given", "do_eval"),
	needless("`lomo train` trains", "do_train"),
	renamed("export_dtype", "lomo's export_dtype is a type of GGUF files, such as q8_0 or q4_k; export: gguf asks for one", "export_quantization_bit gguf_quantization"),
	notHere("`lomo convert` writes the trained model in another format or type", "export_device export_quantization_dataset export_quantization_nsamples export_quantization_maxlen"),
	notHere(byUpload, "export_hub_model_id"),
	notHere(afterwards, "do_predict do_sample generate_samples predict_with_generate max_new_tokens temperature top_p top_k num_beams repetition_penalty length_penalty eval_causal_lm_metrics do_causal_lm_eval do_bench_eval bench_dataset bench_split compute_accuracy n_shot lang task eval_num_beams include_for_metrics eval_do_concat_batches eval_use_gather_object"),
	renamed("resume", "auto goes on with the run in output_dir, none starts afresh and overwrites nothing of another run", "overwrite_output_dir"),
	renamed("resume", "auto, none or the folder of a checkpoint", "resume_from_checkpoint auto_resume_from_checkpoints resume_from recipe_checkpoint continue_from"),
	needless("models are always saved as safetensors", "save_safetensors safe_serialization export_legacy_format"),
	needless("a checkpoint is a loadable model with all that a resumed run needs", "save_only_model save_on_each_node save_first_step enable_jit_checkpoint dynamic_checkpoint"),
	renamed("max_shard_size", "", "export_size shard_size"),
	notHere(lastModel, "load_best_model_at_end metric_for_best_model greater_is_better early_stopping_patience early_stopping_steps early_stopping"),
	notHere(byUpload, "push_to_hub hf_hub_id"),
	notHere(ownRecord, "use_wandb use_mlflow use_comet use_swanlab use_trackio use_tensorboard run_name project experiment_name metric_logger use_otel_metrics"),
	needless(ownRecord, "plot_loss include_num_input_tokens_seen include_tokens_per_second include_tkps include_effective_tokens_per_second logging_nan_inf_filter prediction_loss_only"),
	needless("stderr has one line of progress, and output_dir the rest", "disable_tqdm log_level log_level_replica verbose print_param_status"),
	notHere("`lomo train --cpuprofile FILE` writes a profile of the CPU", "profiler profiler_steps profiler_steps_start enable_torch_profiler profile_modules"),
	renamed("seed", "", "random_seed random_state manual_seed"),
	needless("seed fixes all draws, and results do not depend on threads", "data_seed full_determinism"),
	needless("unknown keys are always refused", "strict debug"),
}

// families are the answers to keys that begin alike.
var families = []struct {
	prefix string
	Answer
}{
	{"wandb_", Answer{NotHere, "", ownRecord}}, {"mlflow_", Answer{NotHere, "", ownRecord}}, {"comet_", Answer{NotHere, "", ownRecord}},
	{"swanlab_", Answer{NotHere, "", ownRecord}}, {"trackio_", Answer{NotHere, "", ownRecord}}, {"hf_mlflow_", Answer{NotHere, "", ownRecord}}, {"otel_", Answer{NotHere, "", ownRecord}},
	{"lora_", Answer{NotHere, "", allWeights}}, {"peft_", Answer{NotHere, "", allWeights}}, {"relora_", Answer{NotHere, "", allWeights}}, {"oft_", Answer{NotHere, "", allWeights}}, {"pissa_", Answer{NotHere, "", allWeights}},
	{"bnb_", Answer{NotHere, "", fullBits}}, {"quantize_", Answer{NotHere, "", fullBits}}, {"fp8_", Answer{NotHere, "", fullBits}},
	{"galore_", Answer{NotHere, "", "this version has no GaLore; optimizer: adalomo holds no gradient either"}}, {"qgalore_", Answer{NotHere, "", "this version has no GaLore; optimizer: adalomo holds no gradient either"}},
	{"apollo_", Answer{NotHere, "", "this version has no APOLLO; optimizer: adalomo holds next to no state either"}}, {"badam_", Answer{NotHere, "", "this version has no BAdam; optimizer: adalomo holds no gradient either"}}, {"dion_", Answer{NotHere, "", "this version has no Dion; optimizer: adalomo or adamw"}},
	{"dpo_", Answer{NotHere, "", oneKind}}, {"kto_", Answer{NotHere, "", oneKind}}, {"ppo_", Answer{NotHere, "", oneKind}}, {"pref_", Answer{NotHere, "", oneKind}}, {"orpo_", Answer{NotHere, "", oneKind}}, {"grpo_", Answer{NotHere, "", oneKind}}, {"ref_model", Answer{NotHere, "", oneKind}}, {"reward_", Answer{NotHere, "", oneKind}}, {"rpo_", Answer{NotHere, "", oneKind}},
	{"image_", Answer{NotHere, "", textOnly}}, {"video_", Answer{NotHere, "", textOnly}}, {"audio_", Answer{NotHere, "", textOnly}},
	{"fsdp_", Answer{Renamed, "sharding", zero3}}, {"ddp_", Answer{NotNeeded, "", "lomo starts its ranks itself"}}, {"deepspeed_", Answer{Renamed, "sharding", zero3}},
	{"dataloader_", Answer{NotNeeded, "", readAnew}}, {"flash_attn_", Answer{NotNeeded, "", scores}}, {"torch_compile_", Answer{NotNeeded, "", fused}}, {"unsloth_", Answer{NotNeeded, "", fused}}, {"liger_", Answer{NotNeeded, "", fused}},
	{"hub_", Answer{NotHere, "", byUpload}}, {"generation_", Answer{NotHere, "", afterwards}}, {"gradio_", Answer{NotHere, "", afterwards}}, {"vllm_", Answer{NotHere, "", afterwards}}, {"sglang_", Answer{NotHere, "", afterwards}}, {"infer_", Answer{NotHere, "", afterwards}}, {"eval_table_", Answer{NotHere, "", afterwards}}, {"eval_max_", Answer{NotHere, "", afterwards}},
	{"profiler_", Answer{NotHere, "", "`lomo train --cpuprofile FILE` writes a profile of the CPU"}}, {"ray_", Answer{NotNeeded, "", "lomo starts its ranks itself"}}, {"pose_", Answer{NotHere, "", "config.json of the model holds how far its positions go"}}, {"use_pose", Answer{NotHere, "", "config.json of the model holds how far its positions go"}},
	{"kt_", Answer{NotHere, "", "offload: disk or host keeps the weights outside the device"}}, {"use_kt", Answer{NotHere, "", "offload: disk or host keeps the weights outside the device"}}, {"early_stopping_", Answer{NotHere, "", lastModel}},
}

// inDatasets are keys of data sets elsewhere.
var inDatasets = byName([]row{
	renamed("path", "", "file_name file data_path dataset_name data_files dataset hf_hub_url ms_hub_url name_or_path source"),
	renamed("type", "", "formatting format dataset_type data_type task"),
	renamed("split", "", "train_on_split dataset_split subset_split"),
	renamed("weight", "", "fraction sample_ratio sampling_weight ratio"),
	renamed("weight", "0.1 takes a tenth of the samples", "num_samples shards shards_idx max_samples skip"),
	needless("the ending of path says it", "ds_type file_type"),
	needless("path is a file or folder on this machine", "trust_remote_code revision preprocess_shards hf_token"),
	notHere("path is a file or folder on this machine; download the part that you want", "name subset config_name data_dir"),
	needless("both spellings, role/content and from/value, are read", "field_messages message_field_role message_field_content message_property_mappings field_human field_model roles tags"),
	notHere("set chat_template for the whole run", "chat_template chat_template_jinja conversation template_thinking_key"),
	notHere("set roles_to_train and train_on_eos for the whole run", "roles_to_train train_on_eos train_on_eot"),
	needless("the field train of a message is honoured", "message_field_training message_field_training_detail"),
	notHere(perRecord, "field field_instruction field_input field_output field_system no_input_format system_format columns text_column field_tools field_thinking input_format input_transform"),
	notHere(oneKind, "ranking field_chosen field_rejected"),
	notHere("write it into the data, as a system message or the field system", "system_prompt drop_system_message"),
})

var elsewhere = byName(foreign)

func byName(rows []row) map[string]Answer {
	out := map[string]Answer{}
	for _, r := range rows {
		for _, n := range strings.Fields(r.names) {
			out[n] = r.Answer
		}
	}
	return out
}
