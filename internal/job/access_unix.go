//go:build unix

package job

import "golang.org/x/sys/unix"

// accessible asks the system whether this user may make files in a folder.
func accessible(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
