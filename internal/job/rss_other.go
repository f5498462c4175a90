//go:build !unix

package job

import (
	"errors"
	"os"
)

func maxRSS(*os.ProcessState) (int64, error) {
	return 0, errors.New("the peak memory of a process is not known on this system")
}
