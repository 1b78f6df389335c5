"A policy-gradient step of Figure 1 in straightforward PyTorch: a loop over the tokens to sample, autograd, Adagrad."
import torch


class Chain(torch.nn.Module):
    "Next-token logits x W1 + W2[previous token], without the second term for the first token."
    def __init__(self, W1, W2):
        super().__init__()
        self.W1, self.W2 = torch.nn.Parameter(torch.as_tensor(W1).clone()), torch.nn.Parameter(torch.as_tensor(W2).clone())

    def forward(self, x, y):
        "Logits of every token of given responses, shape (n, N, k)."
        by_context = (x @ self.W1)[:, None]
        return torch.cat([by_context, by_context + self.W2[y[:, :-1]]], dim=1)

    @torch.no_grad()
    def generate(self, x, N, choose):
        "Responses whose tokens are chosen one after the other, shape (n, N)."
        by_context = x @ self.W1
        y = [choose(by_context)]
        while len(y) < N: y.append(choose(by_context + self.W2[y[-1]]))
        return torch.stack(y, dim=1)

    def sample(self, x, N): return self.generate(x, N, lambda logits: torch.distributions.Categorical(logits=logits).sample())
    def greedy(self, x, N): return self.generate(x, N, lambda logits: logits.argmax(dim=1))


def contexts(n, d, sigma):
    "A Gaussian mixture around the standard basis: noise clipped to norm sigma, contexts of norm sqrt(d)."
    noise = sigma * torch.randn(n, d)
    noise *= (sigma / noise.norm(dim=1, keepdim=True)).clamp(max=1)
    x = noise + torch.eye(d)[torch.randint(d, (n,))]
    return x * d**.5 / x.norm(dim=1, keepdim=True)


def advantages(y, right, process, signed):
    "Weights of the tokens of responses y, shape (n, N); signed outcome rewards have the mean baseline."
    verified = (y == right).cumprod(dim=1)
    reward = (verified if process else verified[:, -1:].expand_as(y)).float()
    if not signed: return reward
    reward = 2 * reward - 1
    return reward if process else reward - reward.mean(dim=0)


def loss(policy, x, y, A):
    "Minus the mean over responses of the weighted log-probabilities of their tokens."
    log_p = torch.log_softmax(policy(x, y), dim=-1).gather(2, y[..., None])[..., 0]
    return -(A * log_p).sum(dim=1).mean()


def step(policy, truth, optimizer, n, N, process, signed=False, sigma=.05):
    "One on-policy update on n fresh contexts."
    x = contexts(n, len(policy.W1), sigma)
    y = policy.sample(x, N)
    A = advantages(y, truth.greedy(x, N), process, signed)
    optimizer.zero_grad()
    loss(policy, x, y, A).backward()
    optimizer.step()
