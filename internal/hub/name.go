package hub

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"lomo/internal/fault"
)

// ID names a model on the hub, and what of it is meant.
type ID struct {
	Owner, Name string
	Revision    string // branch, tag or commit; "" is main
	Quant       string // of a repository of GGUF files: Q4_K_M
	File        string // when a link to one file was given
}

func (id ID) String() string { return id.Owner + "/" + id.Name }

// Folder is the name of the model's folder in the cache.
func (id ID) Folder() string { return "models--" + id.Owner + "--" + id.Name }

var part = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)

func validPart(s string) bool {
	return part.MatchString(s) && !strings.Contains(s, "--") && !strings.Contains(s, "..") && !strings.HasSuffix(s, ".")
}

// hosts are the hub's own names.
var hosts = []string{"huggingface.co", "www.huggingface.co", "hf.co"}

const wantName = "a name on the hub is OWNER/NAME, e.g. HuggingFaceTB/SmolLM2-135M-Instruct"

// Parse reads what a user gives as a model on the hub: OWNER/NAME, with :QUANT or @REVISION behind it, the name of a folder in the
// cache, or an address pasted from a browser. host is a mirror's, "" for none.
func Parse(text, host string) (ID, error) {
	rest, fromURL := strings.TrimSpace(text), false
	for _, scheme := range []string{"https://", "http://", "hf://"} {
		if after, ok := strings.CutPrefix(rest, scheme); ok {
			rest, fromURL = after, true
			if scheme == "hf://" {
				continue
			}
			at, _, _ := strings.Cut(after, "/")
			if !ownHost(at, host) {
				return ID{}, fault.Refuse("download it with curl or a browser, and give the folder or file as the model; HF_ENDPOINT names a mirror of the hub", "%s is no address on the hub (%s)", fault.Line(text), hosts[0])
			}
		}
	}
	if at, after, ok := strings.Cut(rest, "/"); ok && ownHost(at, host) {
		rest, fromURL = after, true
	}
	if fromURL {
		rest, _, _ = strings.Cut(rest, "?")
		rest, _, _ = strings.Cut(rest, "#")
		if plain, err := url.PathUnescape(rest); err == nil {
			rest = plain
		}
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	if folder, ok := strings.CutPrefix(parts[0], "models--"); ok && len(parts) == 1 {
		parts = strings.SplitN(folder, "--", 2)
	}
	switch parts[0] {
	case "datasets", "spaces", "collections", "papers":
		if len(parts) > 1 && (fromURL || len(parts) > 2) {
			return ID{}, fault.Refuse("lomo pull takes models; fetch a data set's files with a browser or git, and name them in datasets", "%s names one of the hub's %s, not a model", fault.Line(text), parts[0])
		}
	case "models":
		if len(parts) == 3 {
			parts = parts[1:]
		}
	}
	if len(parts) < 2 || parts[1] == "" {
		return ID{}, fault.Refuse(wantName, "%q is no name of a model on the hub", fault.Line(text))
	}
	id := ID{Owner: parts[0], Name: parts[1]}
	if len(parts) > 2 {
		if !fromURL || len(parts) < 4 || !strings.Contains(" tree blob resolve raw ", " "+parts[2]+" ") {
			return ID{}, fault.Refuse(wantName, "%q is no name of a model on the hub: more than two parts", fault.Line(text))
		}
		id.Revision = parts[3]
		id.File = strings.Join(parts[4:], "/")
		if parts[2] == "tree" {
			id.File = ""
		}
	}
	if name, rev, ok := strings.Cut(id.Name, "@"); ok {
		id.Name, id.Revision = name, rev
	}
	if name, quant, ok := strings.Cut(id.Name, ":"); ok {
		id.Name, id.Quant = name, quant
		if quant == "" {
			return ID{}, fault.Refuse("e.g. "+id.String()+":Q4_K_M", "%q: nothing behind the colon", fault.Line(text))
		}
	}
	if fromURL {
		id.Name = strings.TrimSuffix(id.Name, ".git")
	}
	for _, p := range []string{id.Owner, id.Name} {
		if !validPart(p) {
			return ID{}, fault.Refuse(wantName, "%q is no name of a model on the hub: %q has characters that no name has", fault.Line(text), fault.Line(p))
		}
	}
	return id, nil
}

func ownHost(name, mirror string) bool {
	for _, h := range append(hosts, mirror) {
		if h != "" && strings.EqualFold(name, h) {
			return true
		}
	}
	return false
}

// Looks tells whether a path that leads to nothing may be meant as a name on the hub.
func Looks(path string) bool {
	id, err := Parse(path, "")
	return err == nil && (id.String() == path || id.Quant != "" && path == id.String()+":"+id.Quant || strings.Contains(path, "://"))
}

// Cache is the folder of the hub's cache, as huggingface_hub finds it.
func Cache(env func(string) string) string {
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := env(name); dir != "" {
			return expand(dir, env)
		}
	}
	return filepath.Join(Home(env), "hub")
}

// Home is the folder of all that Hugging Face's programs keep.
func Home(env func(string) string) string {
	if dir := env("HF_HOME"); dir != "" {
		return expand(dir, env)
	}
	if dir := env("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(expand(dir, env), "huggingface")
	}
	home := env("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	return filepath.Join(home, ".cache", "huggingface")
}

// expand replaces a leading ~, as Python programs do for these variables.
func expand(dir string, env func(string) string) string {
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || rest[0] == '/') && env("HOME") != "" {
		return env("HOME") + rest
	}
	return dir
}

// Locate is where a model's files are: path itself when something is there, else for a name on the hub the snapshot in the cache,
// which cached tells. A name that is not in the cache is refused with the command that brings it there.
func Locate(path string, env func(string) string) (at string, cached bool, err error) {
	if _, err := os.Lstat(path); err == nil || !Looks(path) {
		return path, false, nil
	}
	id, err := Parse(path, "")
	if err != nil {
		return path, false, nil
	}
	dir := filepath.Join(Cache(env), id.Folder())
	commit := ref(dir, "main")
	snapshot := filepath.Join(dir, "snapshots", commit)
	if commit == "" || !isDir(snapshot) {
		return "", false, notCached(path, id, dir)
	}
	ggufs := Glob(snapshot, "*.gguf")
	if id.Quant == "" && (len(ggufs) == 0 || isFile(filepath.Join(snapshot, "config.json")) && len(Glob(snapshot, "*.safetensors"))+len(Glob(snapshot, "*.bin")) > 0) {
		return snapshot, true, nil
	}
	ggufs = append(ggufs, Glob(snapshot, "*/*.gguf")...)
	var of []string
	for _, f := range ggufs {
		if isModel := !strings.Contains(strings.ToLower(filepath.Base(f)), "mmproj"); isModel && !LaterPart(f) && (id.Quant == "" || strings.EqualFold(QuantOf(f), id.Quant)) {
			of = append(of, f)
		}
	}
	switch len(of) {
	case 1:
		return of[0], true, nil
	case 0:
		return "", false, fault.Refuse(fmt.Sprintf("`lomo pull %s` fetches it", path), "%s: the hub's cache has the model, not %s of it", path, id.Quant)
	}
	return "", false, fault.Refuse(fmt.Sprintf("choose one, e.g. %s:%s", id, QuantOf(of[0])), "%s: %s %s in the hub's cache", path, fault.Count(len(of), "GGUF file"), filepath.Base(of[0]))
}

// localNames are first parts of paths as guides and programs write them: no owner on the hub is meant, though the folder is not there yet.
var localNames = map[string]bool{"models": true, "model": true, "checkpoints": true, "checkpoint": true, "weights": true}

// runNames are those of the folders of runs.
var runNames = map[string]bool{"out": true, "output": true, "outputs": true, "runs": true, "saves": true, "results": true}

func notCached(path string, id ID, dir string) error {
	if runNames[id.Owner] {
		return fault.Refuse("a trained model is in the output_dir of its run; a path begins in the folder where you are", "%s: there is no such folder or file", path)
	}
	if localNames[id.Owner] || isDir(id.Owner) { // a path is meant
		return fault.Refuse(fmt.Sprintf("`lomo pull OWNER/%s --to %s` downloads it from the hub", id.Name, path), "%s: there is no such folder or file", path)
	}
	if all := snapshots(dir); len(all) > 0 {
		return fault.Refuse(fmt.Sprintf("`lomo pull %s` fetches it, or give the folder %s", path, filepath.Join(dir, "snapshots", all[0])),
			"%s: there is no such folder, and the hub's cache has another revision of it, not main", path)
	}
	return fault.Refuse(fmt.Sprintf("`lomo pull %s` downloads it; a local model is given as its folder or .gguf file, `lomo new` makes a random one", path),
		"%s: there is no such folder, and the hub's cache (%s) does not have it", path, filepath.Dir(dir))
}

var quant = regexp.MustCompile(`(?i)(?:^|[-._])((?:UD-)?(?:IQ[1-9]_[A-Z0-9_]+|T?Q[1-9]_[A-Z0-9_]+|Q[1-9]|MXFP4(?:_MOE)?|BF16|F(?:P)?16|F(?:P)?32))(?:[-.]|$)`)

// QuantOf is the type of quantisation that a GGUF file's name tells, in capitals, "" for none.
func QuantOf(path string) string {
	found := quant.FindAllStringSubmatch(filepath.Base(path), -1)
	if len(found) == 0 {
		return ""
	}
	return strings.ToUpper(found[len(found)-1][1])
}

var split = regexp.MustCompile(`-([0-9]{5})-of-[0-9]{5}\.gguf$`)

// LaterPart tells a part of a split GGUF file that is not the first.
func LaterPart(path string) bool {
	m := split.FindStringSubmatch(path)
	return m != nil && m[1] != "00001"
}
