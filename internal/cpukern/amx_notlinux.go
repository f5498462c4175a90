//go:build amd64 && !noasm && !linux

package cpukern

// requestTiles: how other systems give tiles to a process is not known here.
func requestTiles() bool { return false }
