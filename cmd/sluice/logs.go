package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newLogsCommand(g *globals) *cobra.Command {
	var follow bool
	command := &cobra.Command{
		Use:   "logs FUNCTION",
		Short: "Print what a function's instances wrote",
		Args:  cobra.ExactArgs(1),

		ValidArgsFunction: completeFunctions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &control.LogsRequest{Tenant: g.tenant, Function: args[0], Follow: follow}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				stream, err := client.Logs(ctx, request)
				if err != nil {
					return err
				}
				for {
					message, err := stream.Recv()
					if errors.Is(err, io.EOF) || ctx.Err() != nil {
						return nil
					}
					if err != nil {
						return callError{"logs of " + args[0], err}
					}
					if _, err := cmd.OutOrStdout().Write(message.GetText()); err != nil {
						return err
					}
				}
			})
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing what is written from now on")
	return command
}
