package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newFunctionsCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "functions",
		Short: "List the functions that are deployed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.ListFunctions(ctx, &control.ListFunctionsRequest{Tenant: g.tenant})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, f := range response.GetFunctions() {
					rows = append(rows, []string{
						f.GetName(), f.GetVersion(), f.GetProgram(), strconv.Itoa(int(f.GetInstances())),
						fmt.Sprintf("%d-%d", f.GetScaleMin(), f.GetScaleMax()), formatSince(f.GetDeployedAt().AsTime(), time.Now()),
					})
				}
				return printMessages(cmd.OutOrStdout(), *output, response.GetFunctions(), "NAME VERSION PROGRAM INSTANCES SCALE AGE", rows)
			})
		},
	}
	output = addOutputFlag(command)
	return command
}

func newRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove FUNCTION",
		Short: "Stop a function's instances and forget it",
		Args:  cobra.ExactArgs(1),

		ValidArgsFunction: completeFunctions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				if _, err := client.RemoveFunction(ctx, &control.RemoveFunctionRequest{Tenant: g.tenant, Name: args[0]}); err != nil {
					return callError{"removing " + args[0], err}
				}
				fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", args[0])
				return nil
			})
		},
	}
}
