package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/broker/client"
)

// withBroker runs call with a client of the broker.
func withBroker(ctx context.Context, g *globals, call func(context.Context, *client.Client) error) error {
	conn, err := dialDaemon(g)
	if err != nil {
		return err
	}
	broker := client.New(conn)
	defer broker.Close()
	return call(ctx, broker)
}

func newDevicesCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "devices",
		Short: "List the pool: each device, and what of it is not leased",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withBroker(cmd.Context(), g, func(ctx context.Context, broker *client.Client) error {
				devices, reason, err := broker.Devices(ctx)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, d := range devices {
					rows = append(rows, []string{
						d.ID, d.API, string(d.Kind), formatBytes(d.MemoryBytes), formatBytes(d.FreeMemoryBytes),
						strconv.Itoa(d.FreeComputeMilli), strconv.Itoa(d.ComputeUnits), d.Name,
					})
				}
				if err := printList(cmd.OutOrStdout(), *output, devices, "ID API KIND MEMORY FREE FREE-COMPUTE UNITS NAME", rows); err != nil {
					return err
				}
				if len(devices) == 0 {
					fmt.Fprintln(cmd.ErrOrStderr(), "the pool is empty:", reason)
				}
				return nil
			})
		},
	}
	output = addOutputFlag(command)
	return command
}
