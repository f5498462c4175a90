// Package ladder is the fourth rung of the CUDA proof: the real binding, and the program as users build it, on the simulated libcuda. It
// is tests only, with the tag cuda, which make test-cuda runs.
package ladder
