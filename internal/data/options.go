package data

// Source is one entry of `datasets`.
type Source struct {
	Path   string  // a file, a folder or a pattern such as data/*.jsonl
	Type   string  // what a record holds; see Types
	Split  string  // of a folder: which files, by the beginning of their names
	Weight float64 // 2: every sample twice; 0.5: half of them; 0 is 1
}

// Options says how samples are made and dealt out.
type Options struct {
	SequenceLen int  // tokens of a row; longer samples are cut
	Stride      int  // above 0: longer samples become several instead, each Stride tokens behind the one before it (windows)
	Packing     bool // several documents a row, which do not see each other
	Shuffle     bool // another order every epoch
	MicroBatch  int  // rows of a batch
	Seed        uint64

	TrainOnInputs bool     // predict prompts too
	RolesToTrain  []string // roles whose turns are predicted; none: assistant
	TrainOnEOS    string   // turn, all, last or none
	ChatTemplate  string   // tokenizer, or a template

	VocabSize int // of the model: ids from there on are errors; 0: unknown

	// Limit above 0 reads no more than makes so many samples, to show them: what stands behind is neither read nor checked.
	Limit int

	OnSample func(n int) // hears how many samples are made, while data is read; nil: nobody
}
