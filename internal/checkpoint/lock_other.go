//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package checkpoint

import "os"

// tryLock always succeeds: there is no flock here, and a lock that outlives a killed run would be worse than none.
func tryLock(*os.File) (locked bool, err error) { return true, nil }
