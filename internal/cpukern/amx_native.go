//go:build !amxemu

package cpukern

// amxEmulated: only a build for tests believes in tiles that the processor does not have.
const amxEmulated = false
