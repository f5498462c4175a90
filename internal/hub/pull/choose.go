package pull

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
	"lomo/internal/hub"
)

// leftOut are the files that are not fetched.
type leftOut []*File

func (l leftOut) note(say func(string, ...any)) {
	if len(l) == 0 {
		return
	}
	var bytes int64
	for _, f := range l {
		bytes += max(f.Size, 0)
	}
	say("left out: %s %s (%s); --include '*' takes all", fault.Count(len(l), "file"), l[0].Name, checkpoint.FormatSize(bytes))
}

// choose decides which files of a repository are fetched: those of the patterns, else what a model needs in one form of weights.
func choose(files []*File, o Options) (chosen []*File, left leftOut, err error) {
	take := func(f *File) bool { return matches(o.Include, f.Name) }
	switch {
	case len(files) == 0:
		return nil, nil, fault.Refuse("choose another model, or another --revision", "%s has no files", o.ID)
	case len(o.Include) > 0:
	case o.ID.File != "":
		take = func(f *File) bool { return f.Name == o.ID.File }
	default:
		if take, err = needed(files, o); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range files {
		if take(f) {
			chosen = append(chosen, f)
		} else {
			left = append(left, f)
		}
	}
	switch {
	case len(chosen) == 0 && o.ID.File != "":
		return nil, nil, fault.Refuse(filesHint(files), "%s has no file %s", o.ID, fault.Line(o.ID.File))
	case len(chosen) == 0:
		return nil, nil, fault.Refuse(filesHint(files), "no file of %s matches --include %s", o.ID, fault.Line(strings.Join(o.Include, " ")))
	}
	if len(o.Include) > 0 || o.ID.File != "" {
		left = nil // it was asked for
	}
	return chosen, left, nil
}

func filesHint(files []*File) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return "it has " + strings.Join(names, ", ")
}

// matches tells whether a name fits one of the patterns, in which * and ? stand also for slashes, as in huggingface_hub.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		re := regexp.QuoteMeta(p)
		re = strings.NewReplacer(`\*`, ".*", `\?`, ".", `\[`, "[", `\]`, "]", `\{`, `\{`).Replace(re)
		re = strings.ReplaceAll(re, "[!", "[^")
		compiled, err := regexp.Compile("^(?s:" + re + ")$")
		return p == name || err == nil && compiled.MatchString(name) || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p)
	})
}

// aside are the files at the top of a repository that a model needs beside its weights.
var aside = regexp.MustCompile(`(?i)^(config\.json|params\.json|generation_config\.json|tokenizer.*\.json|tokenizer.*\.model|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|.*\.tiktoken|tekken\.json|spiece\.model|sentencepiece.*\.model|chat_template\.(json|jinja)|preprocessor_config\.json|(LICEN[CS]E|NOTICE|USE_POLICY|README|COPYING).*)$`)

var (
	shardedName  = regexp.MustCompile(`^model-[0-9]+-of-[0-9]+\.safetensors$`)
	torchName    = regexp.MustCompile(`^pytorch_model(-[0-9]+-of-[0-9]+)?\.bin$`)
	metaName     = regexp.MustCompile(`^consolidated\.[0-9]+\.pth$`)
	variantName  = regexp.MustCompile(`^model\.(fp16|fp32|bf16|int8|int4|non_ema)(-[0-9]+-of-[0-9]+)?\.safetensors`)
	adapterNames = []string{"adapter_model.safetensors", "adapter_model.bin"}
)

func isWeights(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, ".safetensors") || torchName.MatchString(base) || metaName.MatchString(base) || strings.HasSuffix(base, ".gguf")
}

func isProjector(name string) bool {
	return strings.Contains(strings.ToLower(path.Base(name)), "mmproj")
}

// needed is the choice for a model: one form of its weights, safetensors before torch's before Meta's before GGUF, and the files beside it.
func needed(files []*File, o Options) (func(*File) bool, error) {
	has := map[string]bool{}
	count := func(re *regexp.Regexp) (n int) {
		for _, f := range files {
			if re.MatchString(f.Name) {
				n++
			}
		}
		return n
	}
	safetensors, gguf := 0, 0
	for _, f := range files {
		has[f.Name] = true
		switch {
		case strings.HasSuffix(f.Name, ".gguf"):
			gguf++
		case strings.HasSuffix(f.Name, ".safetensors") && !strings.Contains(f.Name, "/") && !slices.Contains(adapterNames, f.Name):
			safetensors++
		}
	}
	weights := func(name string) bool { return false }
	switch {
	case o.ID.Quant != "" || safetensors == 0 && count(torchName) == 0 && count(metaName) == 0 && gguf > 0:
		return oneGGUF(files, o)
	case count(shardedName) > 0 && has["model.safetensors.index.json"]:
		weights = func(n string) bool { return shardedName.MatchString(n) || n == "model.safetensors.index.json" }
	case has["model.safetensors"]:
		weights = func(n string) bool { return n == "model.safetensors" }
	case safetensors > 0:
		weights = func(n string) bool {
			plain := strings.HasSuffix(n, ".safetensors") || strings.HasSuffix(n, ".safetensors.index.json")
			return plain && !slices.Contains(adapterNames, n) && (!variantName.MatchString(n) || count(variantName) == safetensors)
		}
	case count(torchName) > 0:
		weights = func(n string) bool { return torchName.MatchString(n) || n == "pytorch_model.bin.index.json" }
	case count(metaName) > 0:
		weights = metaName.MatchString
	case has[adapterNames[0]] || has[adapterNames[1]]:
		return nil, fault.Refuse("pull the model it was made for (its README names it); --include '*' downloads these files all the same", "%s is an adapter (LoRA), not a whole model", o.ID)
	default:
		return nil, fault.Refuse(filesHint(files)+"; --include PATTERN downloads them", "%s has no weights that lomo reads (safetensors, pytorch_model.bin, consolidated.*.pth, GGUF)", o.ID)
	}
	return func(f *File) bool {
		top := !strings.Contains(f.Name, "/")
		return top && (weights(f.Name) || aside.MatchString(f.Name)) || strings.HasPrefix(f.Name, "additional_chat_templates/") && strings.HasSuffix(f.Name, ".jinja")
	}, nil
}

// readable are the types of GGUF files that this program reads.
var readable = regexp.MustCompile(`^(UD-)?(F32|F16|BF16|FP16|FP32|Q4_0|Q4_1|Q5_0|Q5_1|Q8_0|Q4_K.*|Q5_K.*|Q6_K.*)$`)

// quantisation is one of the GGUF models of a repository, of one file or several parts.
type quantisation struct {
	name  string // Q4_K_M, or the file's name when it tells none
	files []*File
}

func (q *quantisation) size() (n int64) {
	for _, f := range q.files {
		n += max(f.Size, 0)
	}
	return n
}

var partName = regexp.MustCompile(`-[0-9]{5}-of-[0-9]{5}\.gguf$`)

// quantisations groups the GGUF files of a repository, in the order they are listed.
func quantisations(files []*File) (all []*quantisation) {
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".gguf") || isProjector(f.Name) {
			continue
		}
		name := hub.QuantOf(f.Name)
		if name == "" {
			name = partName.ReplaceAllString(path.Base(f.Name), ".gguf")
		}
		i := slices.IndexFunc(all, func(q *quantisation) bool {
			return q.name == name && partName.MatchString(f.Name) && partName.ReplaceAllString(f.Name, "") == partName.ReplaceAllString(q.files[0].Name, "")
		})
		if i < 0 {
			all, i = append(all, &quantisation{name: name}), len(all)
		}
		all[i].files = append(all[i].files, f)
	}
	return all
}

// oneGGUF chooses among the GGUF files of a repository; the user must where there are several.
func oneGGUF(files []*File, o Options) (func(*File) bool, error) {
	all := quantisations(files)
	var fit []*quantisation
	for _, q := range all {
		if o.ID.Quant == "" || strings.EqualFold(q.name, o.ID.Quant) {
			fit = append(fit, q)
		}
	}
	switch {
	case len(fit) == 1:
		return func(f *File) bool {
			return slices.Contains(fit[0].files, f) || aside.MatchString(f.Name) && !strings.HasPrefix(f.Name, "README")
		}, nil
	case len(all) == 0:
		return nil, fault.Refuse("leave out :"+o.ID.Quant, "%s has no GGUF files", o.ID)
	case len(fit) == 0:
		return nil, fault.Refuse(listed(all, o), "%s has no quantisation %s", o.ID, fault.Line(o.ID.Quant))
	case o.ID.Quant != "":
		return nil, fault.Refuse("choose one of them with --include", "%s has %s %s that are %s", o.ID, fault.Count(len(fit), "file"), fit[0].files[0].Name, o.ID.Quant)
	}
	return nil, &ChoiceError{fault.Refuse(listed(all, o), "%s has %d quantisations: choose one", o.ID, len(all))}
}

// ChoiceError asks the user for a choice: exit code 2.
type ChoiceError struct{ error }

func (e *ChoiceError) Unwrap() error { return e.error }

// listed is what there is to choose from, with sizes, and how.
func listed(all []*quantisation, o Options) string {
	example := all[0].name
	var b strings.Builder
	for i, q := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s", fault.Line(q.name), checkpoint.FormatSize(q.size()))
		if !readable.MatchString(q.name) {
			b.WriteString(", not read by lomo")
		} else if !readable.MatchString(example) || q.name == "Q8_0" {
			example = q.name
		}
		b.WriteString(")")
	}
	return fmt.Sprintf("`lomo pull %s:%s`, or --include with a file's name. There are %s", o.ID, example, b.String())
}
