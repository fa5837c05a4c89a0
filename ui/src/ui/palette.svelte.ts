// Whether the command palette is open; anybody may open it.

export const palette = $state({ open: false });

export function openPalette(): void {
  palette.open = true;
}
