//go:build !unix

package report

import "os"

// resizes never tells: the next tick follows the new size.
func resizes() <-chan os.Signal { return nil }
