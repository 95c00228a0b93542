package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// summary is the worst and the mean of some ratios.
type summary struct {
	worst, sum float64
	count      int
}

func (s *summary) add(ratio float64) {
	if s.count == 0 || ratio < s.worst {
		s.worst = ratio
	}
	s.sum += ratio
	s.count++
}

func (s summary) String() string {
	return fmt.Sprintf("%.3f %.3f", s.worst, s.sum/float64(max(s.count, 1)))
}

// printBatcher prints goodput divided by the optimum: the worst point and the mean, of each policy on each curve.
func printBatcher(w io.Writer, plan batcherPlan, rows []batcherRow) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "goodput divided by the optimum: worst and mean")
	for _, noise := range plan.noise {
		fmt.Fprintf(out, "noise %g", noise)
		for _, curve := range plan.curves {
			fmt.Fprintf(out, "\t%s", curve.Name)
		}
		fmt.Fprintln(out, "\tall")
		for _, policy := range plan.policies {
			var all summary
			fmt.Fprint(out, policy)
			for _, curve := range plan.curves {
				var one summary
				for _, row := range rows {
					if row.Policy == policy && row.Curve == curve.Name && row.Noise == noise {
						one.add(row.GoodputRatio)
						all.add(row.GoodputRatio)
					}
				}
				fmt.Fprintf(out, "\t%v", one)
			}
			fmt.Fprintf(out, "\t%v\n", all)
		}
	}
	out.Flush()
}
