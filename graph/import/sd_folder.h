/* Folders in the layout of diffusers: a U-Net, an autoencoder, a text encoder and its tokenizer, a scheduler. Untrusted
 * like any file. */
#ifndef SY_IMPORT_SD_FOLDER_H
#define SY_IMPORT_SD_FOLDER_H

#include "graph/import/safetensors.h"

/* All tensors of unet/, vae/ and text_encoder/ as one file, whose metadata (switchyard.…, see graph/zoo) says what the
 * configurations of the folder say. Refuses, and says why, what no network here would compute as its authors do. */
sy_safetensors *sy_sd_folder_open(const char *folder, sy_error *error);
/* The file at `path`, or, where a folder is there, what sy_sd_folder_open makes of it. *is_folder (may be NULL): which.
 */
sy_safetensors *sy_model_file_open(const char *path, unsigned flags, bool *is_folder, sy_error *error);

#endif
