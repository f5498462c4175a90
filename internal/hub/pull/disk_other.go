//go:build !(linux || darwin || freebsd)

package pull

import "os"

const noFollow = 0

// tryLock: this system has no flock; two pulls of one model at once are the user's to avoid.
func tryLock(*os.File) (bool, error) { return true, nil }
