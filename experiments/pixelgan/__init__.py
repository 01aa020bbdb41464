"""PixelGAN Autoencoders (Makhzani and Frey): one module per table or figure."""
