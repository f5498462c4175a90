// Command lomo fine-tunes all the weights of a LLaMA-family model in little more memory than the weights.
package main

import (
	"os"

	"lomo/internal/cli"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() { os.Exit(cli.Main(version)) }
