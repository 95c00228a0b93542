package batcher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts plays the events in testdata against a Policy and compares its Decisions. Commands: policy,
// arrive, cancel, complete, decide; times are Go durations.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var policy Policy
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "policy" {
				var err error
				limits := Limits{MaxSize: intArg(t, d, "max_size"), MaxWait: timeArg(t, d, "max_wait", 0)}
				if policy, err = New(stringArg(t, d, "name"), limits); err != nil {
					return err.Error()
				}
				return ""
			}
			return play(t, policy, d)
		})
	})
}

func play(t *testing.T, policy Policy, d *datadriven.TestData) string {
	switch d.Cmd {
	case "arrive":
		policy.Arrive(Request{
			ID:         uint64(intArg(t, d, "id")),
			ShapeClass: stringArg(t, d, "class"),
			Size:       intArg(t, d, "size"),
			Arrival:    timeArg(t, d, "at", 0),
			Deadline:   timeArg(t, d, "deadline", Never),
			Priority:   uint32(intArg(t, d, "priority")),
		})
	case "cancel":
		policy.Cancel(uint64(intArg(t, d, "id")))
	case "complete":
		policy.Complete(Completion{Batch: uint64(intArg(t, d, "batch")), Size: intArg(t, d, "size"), Duration: timeArg(t, d, "took", 0)})
	case "decide":
		return describe(policy.Decide(timeArg(t, d, "at", 0), intArg(t, d, "free"), Share{Until: timeArg(t, d, "until", 0)}))
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return ""
}

func describe(decision Decision) string {
	var out strings.Builder
	for _, s := range decision.Shed {
		fmt.Fprintf(&out, "shed %d: %s\n", s.ID, s.Reason)
	}
	for _, b := range decision.Batches {
		fmt.Fprintf(&out, "batch %d of class %q: requests %v, %d rows, %s\n", b.ID, b.ShapeClass, b.Requests, b.Size, b.Cause)
	}
	if decision.WakeAt == Never {
		out.WriteString("wake never\n")
	} else {
		fmt.Fprintf(&out, "wake at %v\n", time.Duration(decision.WakeAt))
	}
	return out.String()
}

func stringArg(t *testing.T, d *datadriven.TestData, key string) (value string) {
	d.MaybeScanArgs(t, key, &value)
	return value
}

// intArg is 1 for a size and 0 for anything else that is not given.
func intArg(t *testing.T, d *datadriven.TestData, key string) (value int) {
	if key == "size" {
		value = 1
	}
	d.MaybeScanArgs(t, key, &value)
	return value
}

func timeArg(t *testing.T, d *datadriven.TestData, key string, otherwise int64) int64 {
	text := stringArg(t, d, key)
	if text == "" {
		return otherwise
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		d.Fatalf(t, "%s: %v", key, err)
	}
	return int64(value)
}
