"""The forward of the authors' SpotFormer as they describe and release it, with nothing saved: what `encoder.py` times.

Written from the description of every layer and from the names of the parameters, for which the authors' outputs vouch
(tests). Norms are modules over channels in second place, so that tokens are turned before and after; queries, keys and
values are chunks of one product, heads their own axis; scores are formed, scaled, and put through a softmax.
"""

import torch
from torch import Tensor, nn


class _Norm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        """(n, K, J, C) -> the same, normalised over all axes but the last."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, dim_head**-0.5
        self.norm = _Norm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        single = heads == 1 and dim_head == dim
        self.to_out = nn.Identity() if single else nn.Sequential(nn.Linear(heads * dim_head, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(n, K, J, C), attention over J."""
        parts = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).permute(0, 3, 1, 2, 4) for part in parts)
        weights = (torch.matmul(q, k.transpose(-1, -2)) * self.scale).softmax(dim=-1)
        mixed = torch.matmul(weights, v).permute(0, 2, 3, 1, 4).flatten(-2)
        return self.to_out(mixed)


class _FeedForward(nn.Module):
    def __init__(self, dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.norm = _Norm(dim)
        self.net = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU())
        self.net2 = nn.Sequential(nn.Linear(mlp_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net2(self.net(self.norm(x)))


class _Down(nn.Module):
    def __init__(self, dim: int, padding: int) -> None:
        super().__init__()
        self.norm = _Norm(dim)
        self.downCNN = nn.Conv1d(dim, dim, 3, stride=2, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, nodes = x.shape[:2]
        x = self.downCNN(self.norm(x).flatten(0, 1).transpose(1, 2))
        return x.transpose(1, 2).unflatten(0, (n, nodes))


class _PoolNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = _Norm(dim)


class _Transformer(nn.Module):
    def __init__(self, dim: int, heads: int, dim_head: int, mlp_dim: int) -> None:
        super().__init__()
        self.gattn1, self.gff1 = _Attention(dim, heads, dim_head), _FeedForward(dim, mlp_dim)
        self.gattn2, self.gff2 = _Attention(dim, heads, dim_head), _FeedForward(dim, mlp_dim)
        self.gdown1, self.gdown2 = _PoolNorm(dim), _PoolNorm(dim)
        self.layers = nn.ModuleList(
            nn.ModuleList([_Attention(dim, heads, dim_head), _FeedForward(dim, mlp_dim)]) for _ in range(4)
        )
        downs = (nn.ModuleList([_Down(dim, padding)]) for padding in (1, 1, 1, 0))
        self.temporal_downsample_layers = nn.ModuleList(downs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 17, 10, C) -> (n, C)"""
        down = [layers[0] for layers in self.temporal_downsample_layers]
        x = self._over_nodes(x, self.gattn1, self.gff1).permute(0, 2, 1, 3)
        x = self._over_nodes(x, *self.layers[0])
        x = self.gdown1.norm(x)
        x = torch.cat([x[:, a:b].max(dim=1, keepdim=True).values for a, b in ((0, 3), (3, 6), (6, 10))], dim=1)
        x = down[0](x).permute(0, 2, 1, 3)
        x = self._over_nodes(x, self.gattn2, self.gff2).permute(0, 2, 1, 3)
        x = self._over_nodes(x, *self.layers[1])
        x = down[1](self.gdown2.norm(x).max(dim=1, keepdim=True).values)
        for number in (2, 3):
            x = down[number](self._over_nodes(x, *self.layers[number]))
        return x[:, 0, 0]

    @staticmethod
    def _over_nodes(x: Tensor, attention: nn.Module, feed_forward: nn.Module) -> Tensor:
        x = attention(x) + x
        return feed_forward(x) + x


class AuthorsSpotFormer(nn.Module):
    """Snippets (B, L, 17, 10, 2) -> (B, L, dim). Its state dict has the names of the release."""

    def __init__(self, dim: int = 256, heads: int = 4, dim_head: int = 64, mlp_dim: int = 256) -> None:
        super().__init__()
        self.to_patch_embedding = nn.Linear(2, dim)
        self.norm = _Norm(dim)
        self.temporal_pos_embedding = nn.Parameter(torch.randn(1, 18, dim))
        self.spatial_pos_embedding = nn.Parameter(torch.randn(3, dim))
        self.transformer = _Transformer(dim, heads, dim_head, mlp_dim)

    def forward(self, snippets: Tensor) -> Tensor:
        x = self.norm(self.to_patch_embedding(snippets.flatten(0, 1)))
        x = x + self.temporal_pos_embedding[0, : x.shape[1], None]
        groups = [self.spatial_pos_embedding[g].expand(size, -1) for g, size in enumerate((3, 3, 4))]
        return self.transformer(x + torch.cat(groups)).unflatten(0, snippets.shape[:2])
