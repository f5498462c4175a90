package memprof

import (
	"strings"

	"lomo/internal/memdev"
)

// Rates are what a card is assumed to reach.
type Rates struct {
	TFLOPS     float64 // 10¹² floating-point operations a second, in matrix products and attention
	MemoryGBps float64 // 10⁹ bytes a second, its own memory
	LinkGBps   float64 // 10⁹ bytes a second in each direction, to the other cards and to host memory
}

// StepTime is the predicted time of one step, in seconds, and what it is made of. The parts add up to more than Seconds
// where they overlap.
type StepTime struct {
	LinkGBps  float64 `json:"link_gbps"`
	Seconds   float64 `json:"seconds"`
	TokS      float64 `json:"card_tok_s"` // tokens a second and card
	Forward   float64 `json:"forward_s"`
	Recompute float64 `json:"recompute_s"` // the forward pass of the blocks again
	Backward  float64 `json:"backward_s"`
	Head      float64 `json:"head_s"`
	Elements  float64 `json:"elements_s"` // norms, rotations, residuals: what memory's pace bounds
	Update    float64 `json:"update_s"`
	Gather    float64 `json:"gather_s"` // weights from the other cards
	Reduce    float64 `json:"reduce_s"` // sums of gradients over the cards
	Copies    float64 `json:"host_copies_s"`
}

// Predict is the time of the step whose work was counted. In each phase (a block's forward or backward pass) weights and
// block inputs move for the next block while this one computes, so the longer of the two counts; sums of gradients are taken
// as if everything waited for them, and share the link with what moves. Launches and losses of synchronisation are not in it.
func (p *Profile) Predict(r Rates) StepTime {
	t := StepTime{LinkGBps: r.LinkGBps}
	for _, w := range p.Work {
		computing := t.compute(w, r)
		gather, reduce := float64(w.Gathered)/(1e9*r.LinkGBps), float64(w.Reduced)/(1e9*r.LinkGBps)
		copies := float64(max(w.In, w.Out)) / (1e9 * r.LinkGBps)
		t.Gather, t.Reduce, t.Copies = t.Gather+gather, t.Reduce+reduce, t.Copies+copies
		t.Seconds += max(computing, gather+copies) + reduce
	}
	t.TokS = float64(p.Tokens) / t.Seconds
	return t
}

// compute adds a phase's own work to the parts and returns its time.
func (t *StepTime) compute(w *memdev.Work, r Rates) float64 {
	forward, backward := w.Forward/(1e12*r.TFLOPS), w.Backward/(1e12*r.TFLOPS)
	elements, update := float64(w.Elements)/(1e9*r.MemoryGBps), float64(w.Updates)/(1e9*r.MemoryGBps)
	switch {
	case strings.HasPrefix(w.Phase, "forward"):
		t.Forward += forward
	case strings.HasPrefix(w.Phase, "backward"):
		t.Recompute += forward
		t.Backward += backward
	default: // the loss and the head
		t.Head += forward + backward
	}
	t.Elements += elements
	t.Update += update
	return forward + backward + elements + update
}
