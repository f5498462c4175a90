// Command lomo fine-tunes all the weights of a LLaMA-family model in little more memory than the weights.
package main

import (
	"os"

	"lomo/internal/cli"
)

func main() { os.Exit(cli.Main()) }
