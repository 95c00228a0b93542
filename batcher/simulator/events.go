package simulator

import (
	"bufio"
	"fmt"
	"io"
)

// WriteEvents writes outcomes as CSV: times in nanoseconds, and -1 where a request was shed; size is its batch's.
func WriteEvents(w io.Writer, outcomes []Outcome) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "arrival_ns,deadline_ns,dispatch_ns,size,completion_ns")
	for _, o := range outcomes {
		fmt.Fprintf(out, "%d,%d,%d,%d,%d\n", o.At, o.Deadline, o.Dispatch, o.Size, o.Completion)
	}
	return out.Flush()
}
