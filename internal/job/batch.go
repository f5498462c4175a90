package job

import (
	"fmt"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/fault"
	"lomo/internal/train"
)

// batch is the sequences of a step.
func batch(c *config.Config) int { return c.MicroBatchSize * c.GradientAccumulationSteps * c.Devices }

// spelling is the part of that product that a user does not change by taking other machines.
func spelling(c *config.Config) [2]int { return [2]int{c.MicroBatchSize, c.GradientAccumulationSteps} }

// keepBatch holds a continued run to the sequences of a step that it began with. Their product may be spelled in another way; where only the number of
// devices was changed, the micro-batches that each accumulates change with it. A run that goes on from a checkpoint the user chose may have other steps.
func keepBatch(o *train.Options, c *config.Config, resume string, had *config.Config, ds *dataset, sum *Summary, rep Reporter) error {
	if resume == "" && had != nil && spelling(c) == spelling(had) && batch(had)%(c.MicroBatchSize*c.Devices) == 0 {
		return recount(sum, c, batch(had)/(c.MicroBatchSize*c.Devices), ds)
	}
	if resume == "" {
		return nil
	}
	st, err := train.ReadState(resume)
	if err != nil {
		return err
	}
	was, err := savedIn(resume)
	if err != nil {
		return fmt.Errorf("resume %s: its %w", resume, err)
	}
	if was == nil || st.Accumulation == 0 { // made by hand, or very old
		return nil
	}
	if st.MicroBatch == 0 {
		st.MicroBatch = was.MicroBatchSize
	}
	want, now := st.MicroBatch*st.Accumulation*st.Devices, batch(c)
	given := spelling(c) != spelling(was)
	switch each := c.MicroBatchSize * c.Devices; {
	case now == want:
	case given && c.Resume != "auto":
		rep.Note("changed since the checkpoint was made: a step has %d sequences, was %d", now, want)
	case want%each != 0:
		return hint(fmt.Sprintf("set micro_batch_size, gradient_accumulation_steps and devices to numbers whose product is %d", want),
			"resume %s: its steps have %d sequences, which micro_batch_size: %d on %s cannot share evenly", resume, want, c.MicroBatchSize, fault.Number(c.Devices, "device"))
	case given:
		return hint(fmt.Sprintf("set gradient_accumulation_steps: %d, or choose another output_dir", want/each),
			"output_dir %s holds another run: its steps have %d sequences, these settings make %d", c.OutputDir, want, now)
	default:
		o.Accumulation = want / each
		rep.Note("gradient_accumulation_steps: %d on %s, so that a step keeps its %d sequences", o.Accumulation, fault.Number(c.Devices, "device"), want)
	}
	is := [3]int{c.MicroBatchSize, o.Accumulation, c.Devices}
	if had := [3]int{st.MicroBatch, st.Accumulation, st.Devices}; is != had && now == want {
		rep.Note("a step's %d sequences are %d x %d x %d (micro_batch_size x gradient_accumulation_steps x devices), were %d x %d x %d: results agree within rounding, not bit for bit",
			want, is[0], is[1], is[2], had[0], had[1], had[2])
	}
	if o.Accumulation == c.GradientAccumulationSteps {
		return nil
	}
	if err := recount(sum, c, o.Accumulation, ds); err != nil {
		return err
	}
	evalLen := 0
	if sum.Val.Samples > 0 {
		evalLen = o.SequenceLen
	}
	sum.Memory, err = sum.known.plan(*o, c, evalLen, sum.Cards)
	return err
}

// recount is the steps of a run whose steps have another number of micro-batches than its settings say.
func recount(sum *Summary, c *config.Config, accumulation int, ds *dataset) (err error) {
	if c.MaxSteps > 0 {
		return nil
	}
	if sum.Steps, err = train.TotalSteps(data.NewLoader(ds.train, ds.opts), c.NumEpochs, accumulation*c.Devices); err != nil {
		return &UsageError{err}
	}
	return nil
}
