package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/report"
)

// reportOptions is what `lomo report` was asked to do.
type reportOptions struct {
	Dirs []string
	Out  string
	JSON bool
}

func newReportCmd(io *Streams, run func(*Streams, *reportOptions) error) *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report DIR [DIR...]",
		Short: "Make the page of a run, or one that compares several runs",
		Long: fmt.Sprintf(`Report makes report.html of a run from the files in its folder, which may be a run that goes on,
and prints its path. Of several folders, at most %d, it makes one page with the curves of all runs
in each chart, the settings that differ and the final figures side by side, and prints the figures
as a table. The page is one file that needs no network. With one folder it is DIR/report.html, with
several it is compare.html in the present folder.`, report.MaxCompared),
		Example: `  lomo report out/run
  lomo report out/run --out run.html
  lomo report out/lomo out/adalomo out/adamw --out optimizers.html
  lomo report out/a out/b --json`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usage(seeHelp(c), "DIR is missing")
			case len(args) > report.MaxCompared:
				return usage("make several pages", "%d runs, and one page tells %d apart", len(args), report.MaxCompared)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("out") && o.Out == "" {
				return usage("name the file, such as --out page.html", "--out is empty")
			}
			o.Dirs = args
			return run(io, &o)
		},
	}
	c.Flags().StringVar(&o.Out, "out", "", "write the page to this `file`")
	c.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object a run, in place of path or table")
	return c
}

func runReportCmd(s *Streams, o *reportOptions) error {
	var pages []report.Page
	for i, dir := range o.Dirs {
		if slices.ContainsFunc(o.Dirs[:i], func(other string) bool { return filepath.Clean(other) == filepath.Clean(dir) }) {
			return usage("a comparison is of different runs; leave it out", "%s is given twice", dir)
		}
		p, err := readPage(dir)
		if err != nil {
			return err
		}
		pages = append(pages, p)
	}
	out := o.Out
	var err error
	if len(pages) == 1 {
		if out == "" {
			out = filepath.Join(o.Dirs[0], report.PageFile)
		}
		err = report.WriteHTML(out, pages[0])
	} else {
		if out == "" {
			out = "compare.html"
		}
		err = report.WriteComparison(out, report.Comparison{Title: titleOf(pages), AsOf: time.Now(), Pages: pages})
	}
	if err != nil {
		return withHint("choose another place with --out FILE", err)
	}
	switch {
	case o.JSON:
		enc := json.NewEncoder(s.Out)
		for _, p := range pages {
			if err := enc.Encode(p.Result()); err != nil {
				return err
			}
		}
	case len(pages) == 1:
		fmt.Fprintln(s.Out, out)
		return nil
	default:
		t := report.Comparison{Pages: pages}.Table()
		if err := t.Write(s.Out); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.Err, "page: %s\n", out)
	return nil
}

// titleOf names the runs of a page. Folders that all lie in one other are named without it.
func titleOf(pages []report.Page) string {
	parent := filepath.Dir(pages[0].Title)
	seen := map[string]bool{}
	for _, p := range pages {
		if filepath.Dir(p.Title) != parent || seen[filepath.Base(p.Title)] {
			parent = ""
		}
		seen[filepath.Base(p.Title)] = true
	}
	var names []string
	for i := range pages {
		if parent != "" && parent != "." {
			pages[i].Title = filepath.Base(pages[i].Title)
		}
		names = append(names, pages[i].Title)
	}
	return strings.Join(names, " · ")
}
