package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/broker/client"
	"sluice/cmd/sluice/top"
	"sluice/proto/gen/control"
)

const (
	topIntervalDefault = 2 * time.Second
	topIntervalMin     = 100 * time.Millisecond

	clearScreen = "\x1b[H\x1b[J"
)

type topFlags struct {
	interval time.Duration
	once     bool
	output   *string
}

func newTopCommand(g *globals) *cobra.Command {
	var flags topFlags
	command := &cobra.Command{
		Use:   "top",
		Short: "Watch functions at work: rate, batches, queue, latency and use of slices",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.interval < topIntervalMin {
				return usageError{fmt.Errorf("--interval is %s, must be at least %s", flags.interval, topIntervalMin)}
			}
			return watchTop(cmd.Context(), g, flags, cmd.OutOrStdout())
		},
	}
	command.Flags().DurationVar(&flags.interval, "interval", topIntervalDefault, "what rates are taken over, and how often they are printed")
	command.Flags().BoolVar(&flags.once, "once", false, "print once, after one interval, and end")
	flags.output = addOutputFlag(command)
	return command
}

func watchTop(ctx context.Context, g *globals, flags topFlags, w io.Writer) error {
	earlier, err := readTop(ctx, g)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(flags.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		later, err := readTop(ctx, g)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if isTerminal(w) && !flags.once {
			fmt.Fprint(w, clearScreen)
		}
		if err := printTop(w, *flags.output, g.tenant, top.Compare(earlier, later)); err != nil || flags.once {
			return err
		}
		earlier = later
	}
}

func printTop(w io.Writer, output, tenant string, rows []top.Row) error {
	if tenant != "" {
		rows = slices.DeleteFunc(rows, func(r top.Row) bool { return r.Tenant != tenant })
	}
	var columns [][]string
	for _, r := range rows {
		columns = append(columns, []string{
			r.Tenant, r.Function.Function, strconv.Itoa(r.Instances), formatNumber(r.RequestsPerSecond), formatNumber(r.FailuresPerSecond),
			strconv.Itoa(r.Pending), formatNumber(r.BatchRows), formatNumber(r.QueueMs), formatNumber(r.InferenceMs),
			formatNumber(r.InferenceP99Ms), formatNumber(r.CallsPerSecond), formatShare(int64(r.SliceUsedBytes), int64(r.SliceMemoryBytes)),
		})
	}
	return printList(w, output, rows, "TENANT FUNCTION INSTANCES REQUESTS/S FAILED/S PENDING BATCH QUEUE-MS RUN-MS RUN-P99-MS CALLS/S SLICES", columns)
}

// formatNumber shows one decimal below a hundred.
func formatNumber(x float64) string {
	if x >= 100 || x == 0 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 1, 64)
}

// readTop takes a sample of the daemon.
func readTop(ctx context.Context, g *globals) (top.Sample, error) {
	memoryBytes := make(map[string]uint64) // by lease
	err := withBroker(ctx, g, func(ctx context.Context, broker *client.Client) error {
		leases, err := broker.Leases(ctx)
		for _, l := range leases {
			memoryBytes[l.ID] = l.MemoryBytes()
		}
		return err
	})
	if err != nil {
		return top.Sample{}, err
	}
	var sample top.Sample
	err = withControl(ctx, g, func(ctx context.Context, client control.ControlClient) error {
		response, err := client.Metrics(ctx, &control.MetricsRequest{})
		if err != nil {
			return err
		}
		at := time.Now()
		if sample, err = top.Parse(bytes.NewReader(response.GetText()), at, nil); err != nil {
			return err
		}
		asked := make(map[string]bool)
		for _, f := range sample.Functions() {
			if asked[f.Tenant] {
				continue
			}
			asked[f.Tenant] = true
			instances, err := client.ListInstances(ctx, &control.ListInstancesRequest{Tenant: f.Tenant})
			if err != nil {
				return err
			}
			for _, i := range instances.GetInstances() {
				sample.Holdings = append(sample.Holdings, top.Holding{
					Of:       top.Function{Tenant: i.GetTenant(), Function: i.GetFunction()},
					Instance: i.GetId(), MemoryBytes: memoryBytes[i.GetLease()],
				})
			}
		}
		return nil
	})
	return sample, err
}
